// SPDX-License-Identifier: Apache-2.0
// Reading of a change that a person or a deployment tool posts.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "incident/incident_json.h"

namespace truekeel::incident {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 5> kKinds = {"deploy", "flag", "load_balancer", "config", "other"};
constexpr std::array<std::string_view, 6> kFields = {"summary", "kind", "at", "author", "link", "touches"};
constexpr std::size_t kTermsMax = 8;

std::unexpected<Error> wrong(std::string_view field, std::string_view must) {
  return fail(ErrorCode::invalid_argument, fmt::format("'{}' must be {}", field, must));
}

Result<std::string> text_field(const Json& json, const char* field) {
  const auto found = json.find(field);
  if (found == json.end()) return std::string();
  if (!found->is_string() || found->get_ref<const std::string&>().size() > kChangeTextMax ||
      !is_plain_line(found->get_ref<const std::string&>())) {
    return wrong(field, fmt::format("a text of at most {} bytes without control characters", kChangeTextMax));
  }
  return found->get<std::string>();
}

Result<Traffic> touches_of(const Json& json) {
  Traffic traffic;
  const auto found = json.find("touches");
  if (found == json.end()) return traffic;
  constexpr const char* kMust = R"(an object of names, as {"endpoint": "s1"} or {"version": "v2"})";
  if (!found->is_object() || found->size() > kTermsMax) return wrong("touches", kMust);
  for (const auto& [attribute, value] : found->items()) {
    if (!value.is_string() ||
        attribute.size() + value.get_ref<const std::string&>().size() > kChangeTextMax ||
        !is_plain_line(attribute) || !is_plain_line(value.get_ref<const std::string&>())) {
      return wrong("touches", kMust);
    }
    traffic.push_back({attribute, value.get<std::string>()});
  }
  return traffic;
}

}  // namespace

bool is_plain_line(std::string_view text) {
  unsigned char before = 0;
  for (const unsigned char byte : text) {
    if (byte < 0x20 || byte == 0x7f || (before == 0xc2 && byte < 0xa0)) return false;
    before = byte;
  }
  return true;
}

Result<Change> posted_change(std::string_view text, WallTime now) {
  const auto json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    return fail(ErrorCode::invalid_argument, R"(the body must be a JSON object, as {"summary": "s1 to v2"})");
  }
  for (const auto& [field, value] : json.items()) {
    if (std::ranges::find(kFields, field) == kFields.end()) {
      return fail(ErrorCode::invalid_argument,
                  "there are unknown fields; known are summary, kind, at, author, "
                  "link and touches");
    }
  }
  Change change{.at = now, .kind = "other", .summary = {}};
  for (const auto& [field, place] : {std::pair("summary", &change.summary),
                                     std::pair("author", &change.author), std::pair("link", &change.link)}) {
    auto value = text_field(json, field);
    if (!value) return std::unexpected(value.error());
    *place = std::move(*value);
  }
  if (change.summary.empty()) return wrong("summary", "a line that says what changed");
  if (!change.link.empty() && !change.link.starts_with("http://") && !change.link.starts_with("https://")) {
    return wrong("link", "an address that begins with http:// or https://");
  }
  if (const auto kind = json.find("kind"); kind != json.end()) {
    if (!kind->is_string() ||
        std::ranges::find(kKinds, kind->get_ref<const std::string&>()) == kKinds.end()) {
      return wrong("kind", "deploy, flag, load_balancer, config or other");
    }
    change.kind = kind->get<std::string>();
  }
  if (const auto at = json.find("at"); at != json.end()) {
    const auto time = at->is_string() ? time_from_rfc3339(at->get_ref<const std::string&>())
                                      : Result<WallTime>(fail(ErrorCode::invalid_argument, ""));
    if (!time || *time < WallTime() || *time > now + std::chrono::hours(24)) {
      return wrong("at", "a time such as 2026-01-31T12:34:56Z, at most a day ahead");
    }
    change.at = *time;
  }
  auto touches = touches_of(json);
  if (!touches) return std::unexpected(touches.error());
  change.touches = std::move(*touches);
  return change;
}

}  // namespace truekeel::incident
