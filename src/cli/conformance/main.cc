// SPDX-License-Identifier: Apache-2.0
// truekeel-conformance: runs the conformance kit on a sampler.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <fstream>
#include <memory>

#include "cli/commands.h"
#include "conformance/report.h"
#include "conformance/wire.h"
#include "samplers/llama_chain.h"
#include "samplers/own_sampler.h"
#include "samplers/process_sampler.h"

namespace {

using namespace truekeel;
using conformance::Sampler;

struct Arguments {
  std::string sampler;
  std::vector<std::string> command;
  std::string dtype = "fp32";
  std::string chain;
  double timeout_s = 120;
  conformance::Options run;
  bool json = false, list = false, no_shrink = false;
  std::string junit, output;
};

constexpr const char* kExamples = R"(Examples:
  truekeel-conformance truekeel --dtype bf16
  truekeel-conformance llama --chain temperature,top_k,top_p
  truekeel-conformance process -- python3 examples/conformance_torch.py --sampler multinomial
  truekeel-conformance truekeel --only edge/ --json

Exit codes: 0 conforms, 1 does not, 2 wrong usage, 3 no answer in time, 4 the sampler cannot be started.
How to join a sampler of your own: docs/conformance.md.)";

void define(CLI::App& app, Arguments& args) {
  app.add_option("sampler", args.sampler,
                 "truekeel: our own library; llama: llama.cpp's chain; process: the command after --;\n"
                 "stdio: whoever started this program, over its standard input and output")
      ->required()
      ->check(CLI::IsMember({"truekeel", "llama", "process", "stdio"}));
  app.add_option("command", args.command,
                 "with process: the program that answers on its standard input and output");
  app.add_option("--dtype", args.dtype, "with truekeel: how logits lie in memory")
      ->check(CLI::IsMember({"fp32", "fp16", "bf16"}));
  app.add_option("--chain", args.chain, "with llama: the steps in order, separated by commas");
  app.add_option("--timeout", args.timeout_s, "with process and stdio: seconds to wait for one answer")
      ->check(CLI::Range(0.01, 86400.0));
  app.add_option("--draws", args.run.draws, "draws of each statistical check; more find smaller faults")
      ->check(CLI::Range(100, 100'000'000))
      ->capture_default_str();
  app.add_option("--alpha", args.run.alpha,
                 "bound on the probability that a correct sampler fails, over the whole run")
      ->check(CLI::Range(1e-300, 0.5))
      ->capture_default_str();
  app.add_option("--seed", args.run.seed, "of the kit's own randomness")->capture_default_str();
  app.add_option("--only", args.run.only, "run only checks whose name contains this");
  app.add_flag("--no-shrink", args.no_shrink, "do not make failing examples small");
  app.add_flag("--list", args.list, "list the checks for this sampler's semantics, and run none");
  app.add_flag("--json", args.json, "print one JSON object");
  app.add_option("--junit", args.junit, "also write a JUnit report to this file");
  app.add_option("--output", args.output, "write the report to this file in place of standard output");
  app.footer(kExamples);
}

Result<std::unique_ptr<Sampler>> open_sampler(const Arguments& args) {
  using Opened = Result<std::unique_ptr<Sampler>>;
  const auto upcast = [](auto opened) -> Opened {
    if (!opened) return std::unexpected(opened.error());
    return std::move(*opened);
  };
  samplers::ProcessOptions options;
  options.call_timeout = std::chrono::milliseconds(static_cast<std::int64_t>(args.timeout_s * 1000));
  options.start_timeout = options.call_timeout;
  if (args.sampler == "process") {
    if (args.command.empty()) return fail(ErrorCode::invalid_argument, "process needs a command after --");
    return upcast(samplers::ProcessSampler::start(args.command, options));
  }
  if (!args.command.empty())
    return fail(ErrorCode::invalid_argument, fmt::format("{} takes no command", args.sampler));
  if (args.sampler == "stdio") {
    if (args.output.empty())
      return fail(ErrorCode::invalid_argument, "stdio needs --output: standard output is taken");
    return upcast(
        samplers::LineSampler::open(samplers::Fd(STDIN_FILENO), samplers::Fd(STDOUT_FILENO), options));
  }
  if (args.sampler == "llama") {
    if (args.chain.empty()) return std::make_unique<samplers::LlamaChain>();
    auto chain = conformance::read_chain(args.chain);
    if (!chain) return std::unexpected(chain.error());
    return std::make_unique<samplers::LlamaChain>(std::move(*chain));
  }
  const auto dtype = args.dtype == "fp16"   ? conformance::Dtype::fp16
                     : args.dtype == "bf16" ? conformance::Dtype::bf16
                                            : conformance::Dtype::fp32;
  return std::make_unique<samplers::OwnSampler>(dtype);
}

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.flush();
  if (!file) fmt::print(stderr, "truekeel-conformance: cannot write {}\n", path);
  return file.good();
}

void show_progress(std::size_t done, std::size_t total, std::string_view name) {
  fmt::print(stderr, "\r\033[K[{}/{}] {}", done + 1, total, name);
  std::fflush(stderr);
}

int run_checks(Sampler& sampler, Arguments& args) {
  args.run.shrink = !args.no_shrink;
  const bool terminal = isatty(STDERR_FILENO) == 1;
  const conformance::Report report =
      conformance::run(sampler, args.run, terminal ? show_progress : decltype(&show_progress){});
  if (terminal) fmt::print(stderr, "\r\033[K");
  if (report.outcomes.empty()) {
    fmt::print(stderr, "truekeel-conformance: no check's name contains \"{}\"\n", args.run.only);
    return cli::kUsage;
  }
  const std::string text = args.json ? json_report(report) + "\n" : text_report(report);
  if (!args.junit.empty() && !write_file(args.junit, junit_report(report))) return cli::kEnvironment;
  if (args.output.empty())
    fmt::print("{}", text);
  else if (!write_file(args.output, text))
    return cli::kEnvironment;
  if (!report.conforms()) return cli::kBad;
  return report.count(conformance::Status::undecided) > 0 ? cli::kUndecided : cli::kFine;
}

}  // namespace

int main(int argc, char** argv) {
  // A sampler's process that dies while it is written to is a finding, not the end of this program.
  signal(SIGPIPE, SIG_IGN);
  Arguments args;
  CLI::App app("Holds a token sampler to the semantics that it declares.", "truekeel-conformance");
  define(app, args);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cli::kFine : cli::kUsage;
  }
  const auto sampler = open_sampler(args);
  if (!sampler) {
    fmt::print(stderr, "truekeel-conformance: {}\n", sampler.error().message);
    return sampler.error().code == ErrorCode::invalid_argument ? cli::kUsage : cli::kEnvironment;
  }
  if (!args.list) return run_checks(**sampler, args);
  for (const conformance::Check& check : conformance::plan((*sampler)->semantics(), args.run.only))
    fmt::print("{:36} {}\n", check.name, check.law);
  return cli::kFine;
}
