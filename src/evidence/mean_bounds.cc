// SPDX-License-Identifier: Apache-2.0
#include "evidence/mean_bounds.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

#include "base/assert.h"

namespace truekeel::evidence {
namespace {

/// Shares of the capital that are staked on each value: a mixture, since the best one is not known. Values
/// whose mean is far off call for large ones, near ones for small ones.
constexpr std::array<double, 6> kStakes = {0.03, 0.1, 0.25, 0.5, 0.75, 0.95};

/// log of the mean over stakes of prod(1 - s + s * value / m): the e-value against "the mean is at most m".
/// Requires: 0 < m. Values are in [0, 1].
double log_capital(std::span<const double> values, double m, bool mirrored) {
  std::array<double, kStakes.size()> logs = {};
  for (std::size_t i = 0; i < kStakes.size(); ++i)
    for (const double value : values)
      logs[i] += std::log1p(kStakes[i] * ((mirrored ? 1 - value : value) / m - 1));
  const double most = *std::ranges::max_element(logs);
  double sum = 0;
  for (const double log : logs) sum += std::exp(log - most);
  return most + std::log(sum / kStakes.size());
}

/// The largest m in [0, 1] that the evidence rejects; 0 where it rejects none. The capital falls in m.
double largest_rejected(std::span<const double> values, double error, bool mirrored) {
  TK_ASSERT(error > 0 && error < 1);
  constexpr int kHalvings = 40;
  double low = 0, high = 1;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (log_capital(values, middle, mirrored) >= -std::log(error) ? low : high) = middle;
  }
  return low;
}

}  // namespace

MeanBounds::MeanBounds(double least, double most) : least_(least), most_(most) { TK_ASSERT(least < most); }

void MeanBounds::add(double value) {
  values_.push_back((std::clamp(value, least_, most_) - least_) / (most_ - least_));
}

double MeanBounds::mean() const {
  if (values_.empty()) return 0;
  const double sum = std::accumulate(values_.begin(), values_.end(), 0.0);
  return least_ + (most_ - least_) * sum / static_cast<double>(values_.size());
}

double MeanBounds::lower(double error) const {
  return least_ + (most_ - least_) * largest_rejected(values_, error, false);
}

double MeanBounds::upper(double error) const {
  return most_ - (most_ - least_) * largest_rejected(values_, error, true);
}

double MeanBounds::log_evidence_above(double m) const {
  TK_ASSERT(m > least_ && m <= most_);
  return log_capital(values_, (m - least_) / (most_ - least_), false);
}

double MeanBounds::log_evidence_below(double m) const {
  TK_ASSERT(m >= least_ && m < most_);
  return log_capital(values_, (most_ - m) / (most_ - least_), true);
}

}  // namespace truekeel::evidence
