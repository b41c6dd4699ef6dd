// SPDX-License-Identifier: Apache-2.0
// The record of one incident. Thread safety: a plain value.
// Invariants: the status is what status_of() makes of the facts; the history has every change of status once,
// each beginning where the one before ended; introduced <= first_impact <= first_signal <= detected <=
// attributed, and action_started <= drained <= verified, where they are known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "incident/change.h"
#include "incident/finding.h"
#include "incident/impact.h"

namespace truekeel::incident {

enum class Status : std::uint8_t {
  investigating,  ///< there is an alarm, and no culprit yet
  identified,     ///< the culprit is named
  contained,      ///< nothing is routed to the culprit since it was drained, and nothing runs there
  monitoring,     ///< the culprit, contained before, serves again, and no detector has objected
  verified,       ///< proven well again
  resolved,       ///< closed by a person, or joined to another incident
};
[[nodiscard]] std::string_view to_string(Status status);
[[nodiscard]] std::optional<Status> status_named(std::string_view text);

struct Times {
  std::optional<WallTime> introduced;  ///< when the change took effect that probably caused it
  WallTime first_impact{};             ///< estimated
  WallTime first_signal{};
  WallTime detected{};
  std::optional<WallTime> attributed;
  std::optional<WallTime> action_started;  ///< the first drain of a server of the culprit
  std::optional<WallTime> drained;         ///< contained
  std::optional<WallTime> verified;
  std::optional<WallTime> resolved;

  bool operator==(const Times&) const = default;
};

/// Time to detect: detected - first impact.
[[nodiscard]] Duration time_to_detect(const Times& times);
/// Time to recover: verified - first impact.
[[nodiscard]] std::optional<Duration> time_to_recover(const Times& times);

/// One server that carries traffic of the culprit, as the router counts it.
struct Carrier {
  std::string endpoint;
  std::optional<WallTime> drained = {};  ///< since when
  std::uint32_t in_flight = 0;           ///< while drained
  std::uint64_t routed_since_drain = 0;  ///< exact

  [[nodiscard]] bool idle() const { return drained && in_flight == 0 && routed_since_drain == 0; }
  bool operator==(const Carrier&) const = default;
};

struct Transition {
  WallTime at{};
  std::optional<Status> from;  ///< none: the incident began
  Status to = Status::investigating;
  std::string because;

  bool operator==(const Transition&) const = default;
};

struct Incident {
  std::uint64_t number = 0;
  Status status = Status::investigating;
  Traffic traffic;  ///< the culprit's; until it is convicted, that of the first alarm
  std::vector<Traffic> same_traffic;
  bool convicted = false;
  Times times;
  std::vector<Finding> findings;  ///< at most kFindingsMax, one of each id
  std::uint64_t findings_left_out = 0;
  WallTime last_finding{};           ///< its detection
  std::vector<Carrier> carriers;     ///< in the order of the configuration
  std::optional<WallTime> released;  ///< when the culprit, once contained, began to serve again
  std::optional<Impact> impact;
  std::vector<RankedChange> changes;
  std::vector<std::uint64_t> related;   ///< incidents whose culprits overlap
  std::optional<std::uint64_t> joined;  ///< the incident that this one turned out to be part of
  std::string resolution;               ///< why a person closed it
  std::vector<Transition> history;

  [[nodiscard]] bool open() const { return status != Status::resolved; }
  bool operator==(const Incident&) const = default;
};

inline constexpr std::size_t kFindingsMax = 32;

/// "inc-17"
[[nodiscard]] std::string id_of(std::uint64_t number);
/// Accepts "inc-17" and "17".
[[nodiscard]] std::optional<std::uint64_t> number_of(std::string_view id);

/// What the facts alone say.
[[nodiscard]] Status status_of(const Incident& incident);

/// One sentence for people who do not program: what is wrong, since when, what share, what was done.
[[nodiscard]] std::string headline(const Incident& incident);

}  // namespace truekeel::incident
