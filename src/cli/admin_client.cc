// SPDX-License-Identifier: Apache-2.0
#include "cli/admin_client.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"

namespace truekeel::cli {
namespace {

constexpr Duration kLimit = std::chrono::seconds(10);
constexpr std::size_t kAnswerBytesMax = 64u << 20;
constexpr const char* kTokenVariable = "TRUEKEEL_ADMIN_TOKEN";

/// What a gateway of ours says of a problem (RFC 9457); nothing when another server speaks.
struct Problem {
  std::string title, detail;
};
std::optional<Problem> problem_of(std::string_view body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  const auto text = [&](const char* field) {
    const auto found = json.find(field);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (!json.is_object() || text("title").empty()) return std::nullopt;
  return Problem{text("title"), text("detail")};
}

}  // namespace

Result<AdminAnswer> ask_admin(const std::string& admin, std::string_view method, const std::string& path,
                              std::string_view body) {
  const auto url = parse_url(admin);
  const auto place = url ? http::place_of(*url) : std::unexpected(url.error());
  if (!place)
    return fail(ErrorCode::invalid_argument, fmt::format("--admin {}: {}", admin, place.error().message));
  http::Headers headers;
  if (const char* token = std::getenv(kTokenVariable))
    headers.add("authorization", fmt::format("Bearer {}", token));
  auto answer = http::fetch(*place, method, path, body, kLimit, kAnswerBytesMax, headers);
  if (!answer) {
    return fail(ErrorCode::unavailable,
                fmt::format("no gateway answers at {} ({}): is `truekeel serve` running, and is "
                            "this its admin address (--admin URL)?",
                            admin, answer.error().message));
  }
  return std::move(*answer);
}

int report_failure(std::string_view command, const Result<AdminAnswer>& answer) {
  if (!answer) {
    fmt::print(stderr, "truekeel {}: {}\n", command, answer.error().message);
    return answer.error().code == ErrorCode::invalid_argument ? kUsage : kEnvironment;
  }
  const auto problem = problem_of(answer->body);
  if (!problem) return report_stranger(command, fmt::format("its answer has status {}", answer->status));
  fmt::print(stderr, "truekeel {}: {}: {}\n", command, problem->title, problem->detail);
  return answer->status == 400 || answer->status == 404 ? kUsage : kEnvironment;
}

int report_stranger(std::string_view command, std::string_view why) {
  fmt::print(stderr,
             "truekeel {}: what answers is not the admin port of a gateway of this version ({}): is --admin "
             "right?\n",
             command, why);
  return kEnvironment;
}

}  // namespace truekeel::cli
