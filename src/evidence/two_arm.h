// SPDX-License-Identifier: Apache-2.0
// Counts in two arms: each event (an error, a complaint) falls into the slice or elsewhere. The null says
// that it falls into the slice with the slice's share of the exposure, which must come from the past; common
// trends in time cancel. Thread safety: immutable.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace truekeel::evidence {

/// How many times likelier the event is in the slice: one bet each.
inline constexpr double kRelativeRates[] = {1.1, 1.25, 1.5, 2, 4, 10};

class TwoArm {
 public:
  /// Requires: every relative rate > 1.
  explicit TwoArm(std::span<const double> relative_rates = kRelativeRates);

  [[nodiscard]] std::size_t cells() const { return relative_rates_.size(); }
  [[nodiscard]] std::span<const float> log_weights() const { return log_weights_; }

  /// Adds one event. exposure: the slice's share of what could have had an event, 0 < exposure < 1, known
  /// before the event. Factor: r^[in slice] / (1 - exposure + r * exposure), mean exactly 1.
  void add(bool in_slice, double exposure, std::span<float> sums) const;

 private:
  std::vector<double> relative_rates_;
  std::vector<float> log_weights_;
};

}  // namespace truekeel::evidence
