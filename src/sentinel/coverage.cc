// SPDX-License-Identifier: Apache-2.0
#include "sentinel/coverage.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace truekeel::sentinel {
namespace {

constexpr double kTail = 1e-4;        // reported probability below which a token is of the tail
constexpr double kWeightMost = 4096;  // about as many tokens are remembered
constexpr double kWeightLeast = 64;

}  // namespace

double growth(double rate, double ratio, double null_rate) {
  const double hit = std::log(1 - rate + rate * ratio), miss = std::log1p(-rate);
  const double hits = rate + (1 - rate) * std::min(1.0, null_rate);
  return hits * hit + (1 - hits) * miss;
}

void GrowthMeter::add(const evidence::TokenRecord& record, const evidence::Sampling& sampling,
                      const evidence::Conduct& conduct, double rho) {
  // What a fault picks at random has its share of the null too: the tail's mass, or all but the best token.
  double tail = 0, others = 0;
  if (*sampling.temperature > 0) {
    const evidence::DrawNull null = draw_null(record, sampling, conduct);
    std::size_t above = 0;
    while (above < null.most && std::exp(static_cast<double>(record.top[above])) >= kTail) ++above;
    tail = null.rest_most <= 0 && above >= null.most
               ? 0
               : std::max(0.0, 1 - null.prefix[above] / null.total_most());
    if (record.has_mass) tail = std::min(tail, static_cast<double>(record.mass_below[1]));
    others = std::max(0.0, 1 - 1 / null.total_most());
  }
  const double fade = weight_ >= kWeightMost ? 1 - 1 / kWeightMost : 1;
  weight_ = weight_ * fade + 1;
  for (std::size_t i = 0; i < kForecastRates.size(); ++i) {
    const double rate = kForecastRates[i];
    tail_[i] = tail_[i] * fade + growth(rate, 1 / (tail + rho), tail);
    top1_[i] = top1_[i] * fade + growth(rate, 1 / (others + rho), others);
  }
}

void GrowthMeter::take(GrowthMeter& other) {
  const double room = std::max(0.0, kWeightMost - other.weight_);
  const double fade = weight_ > room ? room / weight_ : 1;
  for (std::size_t i = 0; i < kForecastRates.size(); ++i) {
    tail_[i] = tail_[i] * fade + std::exchange(other.tail_[i], 0);
    top1_[i] = top1_[i] * fade + std::exchange(other.top1_[i], 0);
  }
  weight_ = weight_ * fade + std::exchange(other.weight_, 0);
}

std::optional<Growth> GrowthMeter::mean(const Growth& sum) const {
  if (weight_ < kWeightLeast) return std::nullopt;
  Growth result = sum;
  for (double& each : result) each /= weight_;
  return result;
}

std::optional<double> minutes_to_detect(double growth, double log_threshold, std::size_t cells,
                                        double items_per_minute) {
  if (growth <= 0 || items_per_minute <= 0) return std::nullopt;
  return (log_threshold + std::log(static_cast<double>(cells))) / growth / items_per_minute;
}

}  // namespace truekeel::sentinel
