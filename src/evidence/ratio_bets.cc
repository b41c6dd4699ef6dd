// SPDX-License-Identifier: Apache-2.0
#include "evidence/ratio_bets.h"

#include <cmath>

#include "base/assert.h"
#include "evidence/log_math.h"

namespace truekeel::evidence {
namespace {

constexpr double kCountsAsZero = 1e-3;
constexpr double kRatioMax = 1e30;  // stays a normal float after + 1

// Taken off every logarithm: more than the single-precision arithmetic of one item can have rounded up
// (6e-8 for 1 + rate * excess, 3e-7 for the logarithm, 6e-8 for the sum), so that E stays on the safe side.
constexpr float kRoundedDown = 1e-6f;

}  // namespace

RatioBets::RatioBets(std::size_t alternatives, std::span<const double> rates)
    : alternatives_(alternatives), rates_(rates.begin(), rates.end()) {
  TK_ASSERT(alternatives > 0 && !rates.empty() && rates.size() <= kRatesMax);
  for (std::size_t i = 0; i < rates.size(); ++i) {
    TK_ASSERT(rates[i] > 0 && rates[i] < 1);
    rate_[i] = static_cast<float>(rates[i]);
    log_miss_[i] = static_cast<float>(std::log1p(-rates[i])) - kRoundedDown;
  }
  log_weights_.assign(cells(), static_cast<float>(-std::log(static_cast<double>(cells()))));
}

void RatioBets::add(std::span<const double> ratios, std::span<float> sums) const {
  TK_ASSERT(ratios.size() == alternatives_ && sums.size() == cells());
  float* cell = sums.data();
  for (const double ratio : ratios) {
    if (ratio < kCountsAsZero) {
      for (std::size_t i = 0; i < rates_.size(); ++i) cell[i] += log_miss_[i];
    } else if (ratio != kNeutral) {
      TK_ASSERT(ratio < kRatioMax);
      const auto excess = static_cast<float>(ratio - 1);
      float factor[kRatesMax];
      for (std::size_t i = 0; i < kRatesMax; ++i)
        factor[i] = fast_log(1.0f + rate_[i] * excess) - kRoundedDown;
      for (std::size_t i = 0; i < rates_.size(); ++i) cell[i] += factor[i];
    }
    cell += rates_.size();
  }
}

void RatioBets::add_lost(std::uint64_t items, std::span<float> sums) const {
  TK_ASSERT(sums.size() == cells());
  for (std::size_t cell = 0; cell < sums.size(); ++cell)
    sums[cell] += static_cast<float>(static_cast<double>(items) * std::log1p(-rate_of(cell)));
}

}  // namespace truekeel::evidence
