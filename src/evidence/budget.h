// SPDX-License-Identifier: Apache-2.0
// The promise "at most so many false alarms a day, over all slices of all signals together", and how much of
// it each window of each detector may spend. Thread safety: a budget serves one thread.
//
// Invariant: what has been spent never exceeds promise * (elapsed + horizon). The stake of a window is fixed
// before it starts, so theorem 1 turns this into a bound on expected false alarms, whatever the traffic does.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/time.h"

namespace truekeel::evidence {

struct BudgetSettings {
  double false_alarms_per_day = 0.1;
  /// What is not used in quiet hours may be spent later, but no faster than over this time.
  Duration horizon = std::chrono::hours(1);
  /// No window can touch more detectors than this, over all signals.
  std::uint64_t detectors_max = 1u << 20;
  /// Guess of the detectors that a window touches, until it is known.
  double detectors_expected = 1000;
};

class FalseAlarmBudget {
 public:
  /// Requires: every setting positive.
  FalseAlarmBudget(const BudgetSettings& settings, Instant now);

  /// log of what each detector that is touched in the present window spends.
  [[nodiscard]] double log_stake() const;
  /// log A: the evidence that an alarm takes beyond a fresh start.
  [[nodiscard]] double log_threshold() const { return -log_stake(); }

  /// Ends a window that touched so many detectors, and fixes the stake of the next one.
  void next_window(Instant now, std::uint64_t touched);

  /// A bound on the expected number of false alarms so far.
  [[nodiscard]] double spent() const { return spent_; }

 private:
  void set_stake(Duration window);

  BudgetSettings settings_;
  Instant last_;
  double reserve_;
  double spent_ = 0;
  double touched_;  // running mean
  double stake_ = 0;
};

/// The constant threshold A that keeps the promise when the number of updates a day is known.
[[nodiscard]] inline double constant_threshold(double updates_per_day, double false_alarms_per_day) {
  return updates_per_day / false_alarms_per_day;
}

}  // namespace truekeel::evidence
