// SPDX-License-Identifier: Apache-2.0
// truekeel drill: injects a real fault into a real small fleet, and measures how it is found.
#include "drill/drill.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/commands.h"
#include "http/tcp_net.h"

namespace truekeel::cli {
namespace {

struct Arguments {
  std::string kind, model;
  std::uint64_t seed = 1;
  double rate = 0.008;
  std::uint32_t max_seconds = 600;
  bool json = false;
};

constexpr const char* kExamples = R"(
Examples:
  truekeel drill list
  truekeel drill run corruption --model SmolLM2.gguf
  truekeel drill run topk --model SmolLM2.gguf --rate 0.05 --seed 7 --json

Exit codes: 0 the fault was found, blamed on the right servers and contained; 1 it was not, or something else went
wrong; 2 usage; 3 interrupted, or not one faulty token within --max-seconds; 4 the fleet cannot be had.)";

int list(const Arguments& arguments) {
  auto json = nlohmann::ordered_json::array();
  for (const auto& kind : drill::kinds()) {
    json.push_back({{"name", kind.name}, {"summary", kind.summary}});
    if (!arguments.json) fmt::print("{:<12} {}\n", kind.name, kind.summary);
  }
  if (arguments.json) fmt::print("{}\n", nlohmann::ordered_json{{"drills", json}}.dump());
  return kFine;
}

/// The one of the environment, or the one that ./dev fetches; empty where there is none.
std::string default_model() {
  if (const char* stated = std::getenv("TRUEKEEL_MODEL"); stated != nullptr && *stated != '\0') return stated;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string root = cache != nullptr && *cache != '\0' ? cache
                           : home != nullptr                  ? std::string(home) + "/.cache"
                                                              : ".";
  const auto path = root + "/truekeel/models/SmolLM2-135M-Instruct.Q4_1.gguf";
  return std::filesystem::exists(path) ? path : std::string();
}

/// One line that is written over, on a terminal; a line for each new phase elsewhere.
class ProgressLine {
 public:
  void show(std::string_view text) {
    const auto phase = text.substr(0, text.find(';'));
    const auto since = std::chrono::steady_clock::now() - began_;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since).count();
    if (terminal_) {
      fmt::print(stderr, "\r\033[K{:>4} s  {}", seconds, text);
    } else if (phase != last_) {
      fmt::print(stderr, "{:>4} s  {}\n", seconds, phase);
    }
    last_ = phase;
    std::fflush(stderr);
  }
  ~ProgressLine() {
    if (terminal_) fmt::print(stderr, "\r\033[K");
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::string last_;
};

int exit_code_of(const Error& error) {
  return error.code == ErrorCode::cancelled || error.code == ErrorCode::timeout ? kUndecided : kEnvironment;
}

http::Task<void> run_to_end(http::Net& net, drill::Options options, const bool& interrupted,
                            boost::asio::signal_set& signals, Result<drill::Outcome>& outcome) {
  outcome = co_await drill::run(net, std::move(options), interrupted);
  signals.cancel();
}

Result<drill::Outcome> run_drill(const Arguments& arguments) {
  boost::asio::io_context context(1);
  const auto net = http::make_tcp_net(context);
  ProgressLine line;
  bool interrupted = false;
  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code& error, int) { interrupted = !error; });
  drill::Options options{
      .kind = arguments.kind,
      .seed = arguments.seed,
      .rate = arguments.rate,
      .fleet = {.program = std::filesystem::canonical("/proc/self/exe"), .model = arguments.model},
      .limit = std::chrono::seconds(arguments.max_seconds),
      .progress = [&](std::string_view phase) { line.show(phase); }};
  Result<drill::Outcome> outcome = fail(ErrorCode::internal, "no outcome");
  http::spawn(*net, run_to_end(*net, std::move(options), interrupted, signals, outcome));
  context.run();
  return outcome;
}

int run_and_report(const Arguments& arguments) {
  log_setup(LogLevel::error, LogFormat::text);
  const auto outcome = run_drill(arguments);
  if (!outcome) {
    fmt::print(stderr, "truekeel drill: {}\n", outcome.error().message);
    return exit_code_of(outcome.error());
  }
  const auto& [plan, report, first_loss] = *outcome;
  if (arguments.json) {
    fmt::print("{}\n", drill::to_json(report));
  } else {
    fmt::print("{}", drill::to_text(report, plan.fault, incident::describe(plan.slice)));
  }
  if (!first_loss.empty()) fmt::print(stderr, "truekeel drill: a request was lost: {}\n", first_loss);
  return report.passed() ? kFine : kBad;
}

void add_run_options(CLI::App& run, Arguments& arguments) {
  run.add_option("NAME", arguments.kind, "which drill; see `truekeel drill list`")
      ->required()
      ->check([](const std::string& name) {
        return drill::is_kind(name) ? std::string() : name + " is no drill; see `truekeel drill list`";
      });
  run.add_option("--rate", arguments.rate, "share of positions that the fault hits, on affected servers")
      ->check([](const std::string& text) {
        const double rate = std::strtod(text.c_str(), nullptr);
        return rate > 0 && rate <= 1 ? std::string() : std::string("must be above 0 and at most 1");
      })
      ->capture_default_str();
  run.add_option("--seed", arguments.seed, "chooses servers, moment and traffic")->capture_default_str();
  run.add_option("--model", arguments.model, "GGUF file; default: $TRUEKEEL_MODEL, or the one of ./dev")
      ->type_name("FILE");
  run.add_option("--max-seconds", arguments.max_seconds, "for the whole drill")
      ->check(CLI::Range(1u, 86400u))
      ->capture_default_str();
}

}  // namespace

void add_drill(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("drill", "Inject a fault into a small fleet, and see how it is found");
  command->require_subcommand(1);
  command->fallthrough();
  command->footer(kExamples);
  command->add_flag("--json", arguments->json, "one JSON object on standard output");
  auto* listed = command->add_subcommand("list", "The drills that there are");
  listed->callback([arguments, &run] { run = [arguments] { return list(*arguments); }; });
  auto* one = command->add_subcommand("run", "Start four workers and a gateway, break some, measure");
  add_run_options(*one, *arguments);
  one->callback([arguments, &run] {
    if (arguments->model.empty()) arguments->model = default_model();
    if (arguments->model.empty()) throw CLI::RequiredError("--model");
    run = [arguments] { return run_and_report(*arguments); };
  });
}

}  // namespace truekeel::cli
