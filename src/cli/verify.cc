// SPDX-License-Identifier: Apache-2.0
// truekeel verify: audits any OpenAI-compatible endpoint, alone or against a reference.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "cli/commands.h"
#include "http/tcp_net.h"
#include "verify/page.h"
#include "verify/verification.h"

namespace truekeel::cli {
namespace {

struct Options {
  std::string url, reference;
  std::string model, reference_model, engine, reference_engine, key_env, reference_key_env;
  std::string html;
  unsigned concurrency = 2, seconds_most = 200;
  std::uint64_t tokens_most = 200'000;
  double tolerance = verify::DifferenceSettings().tolerance;
  std::optional<std::uint64_t> seed;
  bool no_sampler = false, json = false;
};

constexpr const char* kFooter = R"TXT(
Nothing is installed on the other side, and its own prompts are all that is sent. Stops as soon as it is sure.

Examples:
  truekeel verify http://127.0.0.1:8000
  truekeel verify https://api.example.com --model big-1 --key-env EXAMPLE_KEY
  truekeel verify http://candidate:8000 --reference http://trusted:8000 --json

Exit codes: 0 fine, 1 the sampler or the distributions are wrong, 2 usage, 3 could not be decided, 4 no answer.)TXT";

Result<verify::Access> access_of(const std::string& url, const std::string& key_env) {
  const auto parsed = parse_url(url);
  if (!parsed) return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", url, parsed.error().message));
  auto place = http::place_of(without_v1(*parsed));
  if (!place) return std::unexpected(place.error());
  std::string key;
  if (!key_env.empty()) {
    const char* const value = std::getenv(key_env.c_str());
    if (value == nullptr || *value == '\0')
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the environment variable {} is not set", key_env));
    key = value;
  }
  return verify::Access{
      .url = to_string(without_v1(*parsed)), .place = std::move(*place), .key = std::move(key)};
}

Result<verify::Settings> settings_of(const Options& options) {
  auto target = access_of(options.url, options.key_env);
  if (!target) return std::unexpected(target.error());
  verify::Settings settings{
      .target = std::move(*target),
      .target_hints = {options.model, engine_named(options.engine)},
      .reference = {},
      .reference_hints = {options.reference_model, engine_named(options.reference_engine)},
      .sampler = !options.no_sampler,
      .width = options.concurrency,
      .tokens_most = options.tokens_most,
      .time_most = std::chrono::seconds(options.seconds_most),
      .test = {.tolerance = options.tolerance},
      .seed = options.seed ? *options.seed : std::random_device()()};
  if (options.reference.empty()) return settings;
  auto reference = access_of(options.reference, options.reference_key_env);
  if (!reference) return std::unexpected(reference.error());
  settings.reference = std::move(*reference);
  return settings;
}

/// One line that is written over, on a terminal alone.
class ProgressLine {
 public:
  explicit ProgressLine(bool wanted) : shown_(wanted && isatty(STDERR_FILENO) != 0) {}
  ~ProgressLine() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const verify::Progress& progress) const {
    if (!shown_) return;
    constexpr int kWidth = 20;
    const int full = static_cast<int>(kWidth * std::min(1.0, progress.seconds / progress.seconds_most));
    fmt::print(stderr,
               "\r\033[K[{:#<{}}{:.<{}}] {:.0f} of at most {:.0f} s  {}  {} tokens  evidence {:.0f} %", "",
               full, "", kWidth - full, progress.seconds, progress.seconds_most, progress.phase,
               progress.tokens, 100 * progress.evidence);
    std::fflush(stderr);
  }

 private:
  bool shown_;
};

/// Ends the verification with its run: kept connections would hold the event loop until they expire.
http::Task<void> run_to_end(std::optional<verify::Verification>& verification,
                            boost::asio::signal_set& signals, verify::Report& report) {
  report = co_await verification->run();
  verification.reset();
  signals.cancel();
}

/// False, with words on standard error, when the file cannot be written.
bool write_page(const std::string& path, const std::string& page) {
  std::FILE* const file = std::fopen(path.c_str(), "wb");
  const bool written = file != nullptr && std::fwrite(page.data(), 1, page.size(), file) == page.size();
  const bool closed = file == nullptr || std::fclose(file) == 0;
  if (!written || !closed)
    fmt::print(stderr, "truekeel verify: {} cannot be written: {}\n", path, std::strerror(errno));
  return written && closed;
}

ExitCode code_of(verify::Verdict verdict) {
  switch (verdict) {
    case verify::Verdict::bad:
      return kBad;
    case verify::Verdict::undecided:
      return kUndecided;
    case verify::Verdict::failed:
      return kEnvironment;
    case verify::Verdict::fine:
    case verify::Verdict::not_asked:
      return kFine;
  }
  std::unreachable();
}

int verify_endpoint(const Options& options) {
  auto settings = settings_of(options);
  if (!settings) {
    fmt::print(stderr, "truekeel verify: {}\n", settings.error().message);
    return settings.error().code == ErrorCode::invalid_argument ? kUsage : kEnvironment;
  }
  boost::asio::io_context context(1);
  const auto net = http::make_tcp_net(context);
  verify::Report report;
  {
    const ProgressLine line(!options.json);
    std::optional<verify::Verification> verification;
    verification.emplace(*net, std::move(*settings), [&](const auto& progress) { line.show(progress); });
    boost::asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](const auto& error, int) {
      if (!error && verification) verification->stop();
    });
    http::spawn(*net, run_to_end(verification, signals, report));
    context.run();
  }
  if (options.json)
    fmt::print("{}\n", verify::to_json(report));
  else
    fmt::print("{}", verify::to_text(report));
  if (!options.html.empty() && !write_page(options.html, verify::to_html(report))) return kEnvironment;
  return code_of(report.verdict());
}

}  // namespace

void add_verify(CLI::App& app, Run& run) {
  const auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("verify", "Audit any OpenAI-compatible endpoint, alone or against a reference");
  command->footer(kFooter);
  const auto engines = CLI::Validator(
      [](const std::string& text) {
        return engine_named(text) ? std::string()
                                  : "engines are truekeel, llama.cpp, vllm, sglang and openai";
      },
      "ENGINE");
  command->add_option("url", options->url, "the endpoint, with or without /v1")->required();
  command->add_option("--reference", options->reference, "an endpoint that is known to be right");
  command->add_option("--model", options->model, "default: the only one that is listed");
  command->add_option("--reference-model", options->reference_model, "the same of the reference");
  command->add_option("--key-env", options->key_env,
                      "name of the environment variable that holds the API key");
  command->add_option("--reference-key-env", options->reference_key_env, "the same of the reference");
  command->add_option("--engine", options->engine, "where the endpoint does not give it away")
      ->check(engines);
  command->add_option("--reference-engine", options->reference_engine, "the same of the reference")
      ->check(engines);
  command->add_option("--max-seconds", options->seconds_most, "stop by then")
      ->check(CLI::Range(1u, 86'400u))
      ->capture_default_str();
  command
      ->add_option("--max-tokens", options->tokens_most,
                   "tokens to spend, prompts included, both servers together")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--tolerance", options->tolerance,
                   "nats a token that servers may differ beyond their own noise")
      ->check(CLI::Range(1e-6, 10.0))
      ->capture_default_str();
  command->add_option("--concurrency", options->concurrency, "calls at once")
      ->check(CLI::Range(1u, 64u))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of the prompts; default: a random one, shown in the report");
  auto* reference = command->get_option("--reference");
  command->add_flag("--no-sampler", options->no_sampler, "compare with the reference alone")
      ->needs(reference);
  command->add_option("--html", options->html,
                      "write the report to this file, as one page that needs nothing else");
  command->add_flag("--json", options->json, "one JSON object on standard output");
  command->callback([&run, options] { run = [options] { return verify_endpoint(*options); }; });
}

}  // namespace truekeel::cli
