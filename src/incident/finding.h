// SPDX-License-Identifier: Apache-2.0
// What a detector hands over: an alarm, and later the culprit that its evidence convicts. Whoever watches
// fills it; incident/ joins findings of one cause to one incident. Thread safety: a plain value. Invariants:
// first_seen <= detected, and detected <= attributed where there is one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "incident/traffic.h"

namespace truekeel::incident {

struct Finding {
  /// Identifies the alarm, over restarts too: the conviction that follows it carries the same id, and
  /// replaces the alarm. Such as "audit-1732250000123-7".
  std::string id;
  std::string signal;    ///< audit, invariant, canary, rescore, replay, outcome
  std::string detector;  ///< what alarmed, in words: "tokens from the tail (p < 1e-4)"

  double log_statistic = 0;          ///< natural logarithm of the detector's M at its alarm
  double log_threshold = 0;          ///< of its A
  double expected_false_alarms = 0;  ///< of all detectors together, since they started
  std::uint64_t observations = 0;    ///< tokens or checks of this traffic from its onset to the alarm
  std::uint64_t requests = 0;        ///< that they come from
  std::uint64_t sessions = 0;        ///< affinity keys among them, at least (counting may stop at a bound)

  /// The culprit once convicted; before that the slice that leads, or the one that alarmed.
  Traffic traffic;
  std::vector<Traffic> same_traffic;  ///< other names of the same traffic
  bool convicted = false;
  double log_lead = 0;  ///< over the best explanation without this traffic; with a conviction

  WallTime onset{};                    ///< first impact as estimated: the e-CUSUM's last reset
  WallTime first_seen{};               ///< the first item that spoke against this traffic
  WallTime detected{};                 ///< the alarm
  std::optional<WallTime> attributed;  ///< the conviction

  bool operator==(const Finding&) const = default;
};

}  // namespace truekeel::incident
