// SPDX-License-Identifier: Apache-2.0
// truekeel replay: has a worker select the tokens of an answer anew, and says whether they are the same.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/commands.h"
#include "http/fetch.h"
#include "http/url.h"

namespace truekeel::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string url;
  std::string file = "-";
  std::string mode;
  std::optional<double> tolerance;
  std::uint32_t timeout_s = 600;
  bool json = false;
};

constexpr std::size_t kBytesMax = 16 << 20;  // of a request, as the worker takes it
constexpr std::size_t kReportBytesMax = 256 << 20;
constexpr std::size_t kShownMax = 10;

constexpr const char* kFooter = R"TXT(
The request is that of the answer (messages or prompt, and its parameters) with three fields more:
  tokens              the answer's token ids (ask for them with "return_token_ids": true)
  seed                as the answer tells it
  system_fingerprint  as the answer tells it, so that other numerics are noticed

Examples:
  truekeel replay http://127.0.0.1:9101 request.json
  curl -s $URL/v1/chat/completions -d "$(jq '. + {return_token_ids: true}' request.json)" |
      jq --slurpfile r request.json '$r[0] + {tokens: .choices[0].token_ids, seed, system_fingerprint}' |
      truekeel replay $URL
  truekeel replay --mode fast http://127.0.0.1:9102 request.json

exact  along the path of generation, on a worker with equal numerics: every difference is a fault
fast   by batched prefill, on any worker with the same model: differences beyond the tolerance count

Exit codes: 0 no difference that counts, 1 there is one, 2 usage or a bad request, 3 this worker cannot
decide (other numerics), 4 no answer to be had.)TXT";

/// Says what is wrong, as JSON where that was asked for, and passes the exit code on.
int fail_with(const Options& options, ExitCode code, const std::string& message) {
  if (options.json) {
    fmt::print("{}\n", Json{{"error", {{"message", message}}}}.dump());
  } else {
    fmt::print(stderr, "truekeel replay: {}\n", message);
  }
  return code;
}

/// The text of a file, or of standard input for "-"; errno in words on failure.
std::expected<std::string, std::string> read_text(const std::string& path) {
  const auto close = [](std::FILE* file) { return file == stdin ? 0 : std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"),
                                                         close);
  if (!file) return std::unexpected(fmt::format("{} cannot be read: {}", path, std::strerror(errno)));
  std::string text(kBytesMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return std::unexpected(fmt::format("{} cannot be read", path));
  if (text.size() > kBytesMax) return std::unexpected(fmt::format("{} is larger than 16 MiB", path));
  return text;
}

std::string difference_text(const Json& difference) {
  const auto token = [&](const char* which) {
    const auto& found = difference.at(which);
    return fmt::format("{} {}", found.at("id").get<std::uint64_t>(), found.at("token").dump());
  };
  const auto& distance = difference.at("distance");
  return fmt::format("  position {}: the answer has {}, the replay gives {}{}{}\n",
                     difference.at("position").get<std::uint64_t>(), token("given"), token("selected"),
                     distance.is_number() ? fmt::format(", {:.4f} away", distance.get<double>()) : "",
                     difference.at("counts").get<bool>() ? "" : " (within the tolerance)");
}

std::string report_text(const Json& report) {
  const auto& summary = report.at("summary");
  const auto tokens = summary.at("tokens").get<std::uint64_t>();
  const auto different = summary.at("different").get<std::uint64_t>();
  const auto counted = summary.at("counted").get<std::uint64_t>();
  auto text = fmt::format("{} replay of {} token{}: ", report.at("mode").get<std::string>(), tokens,
                          tokens == 1 ? "" : "s");
  if (different == 0) return text + "all the same\n";
  text += fmt::format("{} differ{}", different, different == 1 ? "s" : "");
  if (counted < different) {
    text += fmt::format(", {} beyond the tolerance of {}", counted == 0 ? "none" : std::to_string(counted),
                        summary.at("tolerance").get<double>());
  }
  text += '\n';
  std::size_t shown = 0;
  for (const auto& difference : report.at("differences")) {
    if (++shown > kShownMax) break;
    text += difference_text(difference);
  }
  if (different > kShownMax) text += fmt::format("  and {} more; --json lists all\n", different - kShownMax);
  if (!report.at("numerics_checked").get<bool>() && counted > 0) {
    text +=
        "The request does not say which numerics the answer came from; with system_fingerprint it would.\n";
  }
  return text;
}

/// The exit code for an answer that is no report.
ExitCode code_of(int status) {
  if (status == 409) return kUndecided;
  return status >= 400 && status < 500 && status != 429 ? kUsage : kEnvironment;
}

int say(const Options& options, const http::Fetched& answer) {
  const auto parsed = Json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  const bool is_object = parsed.is_object();
  if (answer.status == 200 && is_object && parsed.value("object", "") == "replay") {
    fmt::print("{}", options.json ? answer.body + "\n" : report_text(parsed));
    return parsed.at("verdict") == "same" ? kFine : kBad;
  }
  const bool has_error = is_object && parsed.contains("error") && parsed["error"].is_object() &&
                         parsed["error"].contains("message") && parsed["error"]["message"].is_string();
  if (answer.status == 404 && (!has_error || parsed["error"].value("code", Json()) == "not_found")) {
    return fail_with(options, kEnvironment,
                     fmt::format("{} has no /v1/replay: it must be a truekeel worker", options.url));
  }
  if (!has_error) {
    return fail_with(options, kEnvironment,
                     fmt::format("{} answered with status {} and no report", options.url, answer.status));
  }
  if (options.json) {
    fmt::print("{}\n", answer.body);
    return code_of(answer.status);
  }
  return fail_with(options, code_of(answer.status), parsed["error"]["message"].get<std::string>());
}

int replay(const Options& options) {
  const auto url = parse_url(options.url);
  if (!url) return fail_with(options, kUsage, fmt::format("{}: {}", options.url, url.error().message));
  const auto place = http::place_of(without_v1(*url));
  if (!place) return fail_with(options, kEnvironment, place.error().message);
  const auto text = read_text(options.file);
  if (!text) return fail_with(options, kUsage, text.error());
  auto request = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!request.is_object()) {
    return fail_with(options, kUsage,
                     fmt::format("{} holds no JSON object; see --help for what it must hold",
                                 options.file == "-" ? "standard input" : options.file));
  }
  if (!options.mode.empty()) request["mode"] = options.mode;
  if (options.tolerance) request["tolerance"] = *options.tolerance;

  const auto result = http::fetch(*place, "POST", "/v1/replay", request.dump(),
                                  std::chrono::seconds(options.timeout_s), kReportBytesMax);
  if (!result)
    return fail_with(options, kEnvironment, fmt::format("{}: {}", options.url, result.error().message));
  return say(options, *result);
}

}  // namespace

void add_replay(CLI::App& app, Run& run) {
  const auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("replay", "Select an answer's tokens anew and compare");
  command->footer(kFooter);
  command->add_option("url", options->url, "a truekeel worker, with or without /v1")->required();
  command->add_option("file", options->file, "the request with its tokens; - or nothing: standard input");
  command->add_option("--mode", options->mode, "exact or fast; default: as the request says, else exact")
      ->check(CLI::IsMember({"exact", "fast"}));
  command->add_option("--tolerance", options->tolerance, "distance beyond which a fast difference counts")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--timeout", options->timeout_s, "seconds to wait for the report")
      ->check(CLI::Range(1u, 86'400u))
      ->capture_default_str();
  command->add_flag("--json", options->json, "one JSON object on standard output");
  command->callback([&run, options] { run = [options] { return replay(*options); }; });
}

}  // namespace truekeel::cli
