// SPDX-License-Identifier: Apache-2.0
#include "incident/incident.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace truekeel::incident {
namespace {

constexpr std::array<std::string_view, 6> kStatusNames = {"investigating", "identified", "contained",
                                                          "monitoring",    "verified",   "resolved"};

bool contained(const Incident& incident) {
  return !incident.carriers.empty() && std::ranges::all_of(incident.carriers, &Carrier::idle);
}

std::string state_words(const Incident& incident) {
  switch (incident.status) {
    case Status::investigating:
      return "The culprit is not certain yet.";
    case Status::identified:
      if (std::ranges::any_of(incident.carriers,
                              [](const Carrier& carrier) { return carrier.drained.has_value(); }))
        return "It is being drained.";
      return incident.times.action_started ? "It serves: its drain was taken back."
                                           : "Nothing has been done about it yet.";
    case Status::contained:
      return "It is drained: no request goes there any more.";
    case Status::monitoring:
      return "It serves again and is being watched.";
    case Status::verified:
      return "It is proven well again.";
    case Status::resolved:
      return incident.joined ? fmt::format("It turned out to be part of {}.", id_of(*incident.joined))
                             : "It is resolved.";
  }
  return "";
}

}  // namespace

std::string_view to_string(Status status) { return kStatusNames[static_cast<std::size_t>(status)]; }

std::optional<Status> status_named(std::string_view text) {
  const auto* found = std::ranges::find(kStatusNames, text);
  if (found == kStatusNames.end()) return std::nullopt;
  return static_cast<Status>(found - kStatusNames.begin());
}

Duration time_to_detect(const Times& times) { return times.detected - times.first_impact; }

std::optional<Duration> time_to_recover(const Times& times) {
  if (!times.verified) return std::nullopt;
  return *times.verified - times.first_impact;
}

std::string id_of(std::uint64_t number) { return fmt::format("inc-{}", number); }

std::optional<std::uint64_t> number_of(std::string_view id) {
  if (id.starts_with("inc-")) id.remove_prefix(4);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error != std::errc() || end != id.data() + id.size()) return std::nullopt;
  return number;
}

Status status_of(const Incident& incident) {
  if (incident.times.resolved) return Status::resolved;
  if (incident.times.verified) return Status::verified;
  if (!incident.convicted) return Status::investigating;
  if (contained(incident)) return Status::contained;
  return incident.released ? Status::monitoring : Status::identified;
}

std::string headline(const Incident& incident) {
  std::string words = fmt::format("{} {} wrong tokens", describe(incident.traffic),
                                  incident.convicted ? "serves" : "is suspected of serving");
  if (!incident.findings.empty() && incident.findings.front().signal == "invariant") {
    words = fmt::format("{} {} what it must keep", describe(incident.traffic),
                        incident.convicted ? "breaks" : "is suspected of breaking");
  }
  if (incident.impact && incident.impact->requests_all > 0) {
    const auto& impact = *incident.impact;
    words +=
        fmt::format("; {}{:.2g} % of requests went there", impact.exact ? "" : "at most ",
                    100.0 * static_cast<double>(impact.requests) / static_cast<double>(impact.requests_all));
  }
  words.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(words.front())));
  return words + ". " + state_words(incident);
}

}  // namespace truekeel::incident
