// SPDX-License-Identifier: Apache-2.0
#include "sentinel/client_version.h"

#include <algorithm>
#include <array>

namespace truekeel::sentinel {
namespace {

constexpr std::array<std::string_view, 12> kKnown = {
    "OpenAI/Python",         "AsyncOpenAI/Python", "OpenAI/JS", "OpenAI/Go", "Anthropic/Python",
    "AsyncAnthropic/Python", "Anthropic/JS",       "curl",      "node",      "python-requests",
    "python-httpx",          "Go-http-client"};

/// The first two numbers of 2.1.3; empty unless it starts with a number of at most three digits.
std::string_view major_minor(std::string_view text) {
  std::size_t end = 0;
  for (int part = 0; part < 2; ++part) {
    const std::size_t begin = part == 0 ? 0 : end + 1;
    std::size_t at = begin;
    while (at < text.size() && at < begin + 3 && text[at] >= '0' && text[at] <= '9') ++at;
    if (at == begin || (at < text.size() && text[at] >= '0' && text[at] <= '9')) break;
    end = at;
    if (end >= text.size() || text[end] != '.') break;
  }
  return text.substr(0, end);
}

}  // namespace

std::string client_version(std::string_view user_agent) {
  const auto known = std::ranges::find_if(kKnown, [&](std::string_view name) {
    return user_agent.starts_with(name) && user_agent.size() > name.size() &&
           (user_agent[name.size()] == ' ' || user_agent[name.size()] == '/');
  });
  if (known == kKnown.end()) return {};
  const std::string_view version = major_minor(user_agent.substr(known->size() + 1));
  return version.empty() ? std::string(*known) : std::string(*known) + " " + std::string(version);
}

}  // namespace truekeel::sentinel
