// SPDX-License-Identifier: Apache-2.0
// What came of a drill. Thread safety: plain values. Times are seconds from the first impact: the first
// faulty token that was served.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace truekeel::drill {

struct Report {
  std::string drill = {};
  std::uint64_t seed = 0;
  double rate = 0;                                       ///< share of positions, on the affected servers
  bool detected = false;                                 ///< an incident about them was opened
  std::optional<std::string> signal = {};                ///< that opened it
  std::optional<double> ttd_s = {};                      ///< to the alarm
  std::optional<std::uint64_t> tokens_to_detect = {};    ///< that affected servers generated until then
  std::optional<std::uint64_t> requests_to_detect = {};  ///< that they worked on until then
  std::optional<std::string> culprit = {};               ///< that the incident named
  bool culprit_correct = false;  ///< it is the traffic of the affected servers, no less and no more
  std::optional<std::string> action = {};
  std::optional<double> contained_s =
      {};                          ///< to the moment from which nothing is routed to the culprit any more
  std::uint64_t false_alarms = 0;  ///< incidents before the first impact, or about healthy servers alone
  std::uint64_t requests_harmed_before = 0;  ///< whose first faulty token came before the drain
  std::uint64_t requests_harmed_after = 0;   ///< and after it
  std::uint64_t requests_lost = 0;           ///< without a whole answer
  std::uint64_t sessions_left = 0;           ///< whose last answer came from an affected server

  /// Whether all went as it should.
  [[nodiscard]] bool passed() const {
    return detected && culprit_correct && contained_s && false_alarms == 0 && requests_lost == 0 &&
           sessions_left == 0;
  }
  bool operator==(const Report&) const = default;
};

/// One object; `verified` and `ttr_s` are null: nothing verifies a recovery yet.
[[nodiscard]] std::string to_json(const Report& report);
/// For people; `fault` and `slice` are what had been injected, and where.
[[nodiscard]] std::string to_text(const Report& report, const std::string& fault, const std::string& slice);

}  // namespace truekeel::drill
