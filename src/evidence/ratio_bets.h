// SPDX-License-Identifier: Apache-2.0
// The mixture of bets that every signal but the two-arm count uses: alternatives x rates.
// Thread safety: immutable after construction.
// Law: for a ratio >= 0 whose mean under the null is at most 1, every factor E = 1 - rate + rate * ratio
// has mean at most 1 and is never below 1 - rate (docs/evidence.md, lemma 1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace truekeel::evidence {

/// The ratio of an alternative that a rule on past and parameters takes out for this item: E = 1.
inline constexpr double kNeutral = 1.0;

/// From one item in two thousand to four in five: about half a decade apart, so that the bet nearest to the
/// true rate loses little. Below 1, so that no factor is 0.
inline constexpr double kRates[] = {0.0005, 0.002, 0.008, 0.03, 0.1, 0.3, 0.8};

class RatioBets {
 public:
  /// Requires: alternatives > 0; 0 < rate < 1 for every rate; at least one and at most kRatesMax rates.
  explicit RatioBets(std::size_t alternatives, std::span<const double> rates = kRates);

  static constexpr std::size_t kRatesMax = 8;

  [[nodiscard]] std::size_t alternatives() const { return alternatives_; }
  [[nodiscard]] std::span<const double> rates() const { return rates_; }

  /// Cell = alternative * rates + rate.
  [[nodiscard]] std::size_t cells() const { return alternatives_ * rates_.size(); }
  [[nodiscard]] std::size_t alternative_of(std::size_t cell) const { return cell / rates_.size(); }
  [[nodiscard]] double rate_of(std::size_t cell) const { return rates_[cell % rates_.size()]; }

  /// The mixture: equal weights, their logarithms one per cell.
  [[nodiscard]] std::span<const float> log_weights() const { return log_weights_; }

  /// Adds the log factors of one item to `sums`, one per cell. Requires: one finite ratio >= 0 each
  /// alternative. Ratios under 1e-3 count as 0, which is lower and saves the logarithms.
  void add(std::span<const double> ratios, std::span<float> sums) const;

  /// Adds `items` items that were looked at but whose records are lost, late or missing, at their lower
  /// bound.
  void add_lost(std::uint64_t items, std::span<float> sums) const;

 private:
  std::size_t alternatives_;
  std::vector<double> rates_;
  float rate_[kRatesMax] = {};      // padded to a fixed length, so that loops unroll
  float log_miss_[kRatesMax] = {};  // log(1 - rate)
  std::vector<float> log_weights_;
};

}  // namespace truekeel::evidence
