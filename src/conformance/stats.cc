// SPDX-License-Identifier: Apache-2.0
#include "conformance/stats.h"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>
#include <numeric>

#include "base/assert.h"

namespace truekeel::conformance {
namespace {

constexpr double kDetection = 0.99;
// More cells find more kinds of faults, but each costs threshold: 64 halves of a per cent are enough.
constexpr std::size_t kCellsMax = 64;
constexpr double kExpectedMin = 25;

/// x * ln(x / y), with its limit at 0.
double plogp(double x, double y) { return x == 0 ? 0 : x * std::log(x / y); }

/// draws * KL(Bernoulli(count / draws) || Bernoulli(q)).
double divergence_of_share(double count, double draws, double q) {
  const double share = count / draws;
  return draws * (plogp(share, q) + plogp(1 - share, 1 - q));
}

}  // namespace

Cells pool(std::span<const double> probability, std::span<const std::int32_t> tied, std::uint64_t draws) {
  Cells cells{std::vector<std::uint32_t>(probability.size(), Cells::kImpossible), {}};
  const auto open = [&cells] {
    cells.probability.push_back(0);
    return static_cast<std::uint32_t>(cells.probability.size() - 1);
  };
  const auto put = [&](std::size_t id, std::uint32_t cell) {
    cells.of_token[id] = cell;
    cells.probability[cell] += probability[id];
  };
  if (!tied.empty()) {
    const std::uint32_t cell = open();
    for (std::int32_t id : tied) put(id, cell);
  }

  std::vector<std::size_t> rest;
  for (std::size_t id = 0; id < probability.size(); ++id)
    if (probability[id] > 0 && cells.of_token[id] == Cells::kImpossible) rest.push_back(id);
  std::vector<std::size_t> heavy = rest;
  std::ranges::sort(heavy, [&](std::size_t a, std::size_t b) {
    return probability[a] != probability[b] ? probability[a] > probability[b] : a < b;
  });
  const std::size_t own = std::min(heavy.size(), heavy.size() <= kCellsMax ? kCellsMax : kCellsMax / 2);
  for (std::size_t i = 0; i < own && probability[heavy[i]] * static_cast<double>(draws) >= kExpectedMin; ++i)
    put(heavy[i], open());

  std::erase_if(rest, [&](std::size_t id) { return cells.of_token[id] != Cells::kImpossible; });
  if (rest.empty()) return cells;
  const double left = std::accumulate(rest.begin(), rest.end(), 0.0,
                                      [&](double sum, std::size_t id) { return sum + probability[id]; });
  const double share = std::max(left / (kCellsMax / 2), kExpectedMin / static_cast<double>(draws));
  std::uint32_t cell = open();
  double remaining = left;
  for (std::size_t id : rest) {
    // The last cell takes what could not fill one of its own.
    if (cells.probability[cell] >= share && remaining >= share) cell = open();
    put(id, cell);
    remaining -= probability[id];
  }
  return cells;
}

double divergence(std::span<const std::uint64_t> counts, std::span<const double> probability) {
  TK_ASSERT(counts.size() == probability.size());
  const double draws = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (counts[i] > 0)
      sum += static_cast<double>(counts[i]) *
             std::log(static_cast<double>(counts[i]) / (draws * probability[i]));
  return std::max(sum, 0.0);
}

double log_p_bound(double x, std::size_t cells) {
  if (cells < 2) return x > 0 ? -std::numeric_limits<double>::infinity() : 0;
  const double freedom = static_cast<double>(cells - 1);
  if (x <= freedom) return 0;
  return -x + freedom * (1 + std::log(x / freedom));
}

double threshold(std::size_t cells, double alpha) {
  if (cells < 2) return 0;
  double low = static_cast<double>(cells - 1), high = 2 * low - 4 * std::log(alpha) + 4;
  while (log_p_bound(high, cells) > std::log(alpha)) high *= 2;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (log_p_bound(middle, cells) > std::log(alpha) ? low : high) = middle;
  }
  return high;
}

Power power(double q, std::uint64_t draws, double threshold) {
  if (q <= 0 || q >= 1) return {q, q};
  const double n = static_cast<double>(draws);
  // The divergence of a share falls towards q and rises beyond it: bisect for the first counts that reject.
  const auto edge = [&](double inside, double outside) {
    if (divergence_of_share(outside, n, q) < threshold) return std::numeric_limits<double>::quiet_NaN();
    while (std::abs(outside - inside) > 1) {
      const double middle = std::floor((inside + outside) / 2);
      (divergence_of_share(middle, n, q) >= threshold ? outside : inside) = middle;
    }
    return outside;
  };
  Power result{2, -1};
  const double many = edge(std::floor(n * q), n), few = edge(std::ceil(n * q), 0);
  if (!std::isnan(many)) result.above = boost::math::ibeta_inv(many, n - many + 1, kDetection);
  if (!std::isnan(few)) result.below = 1 - boost::math::ibeta_inv(n - few, few + 1, kDetection);
  return result;
}

}  // namespace truekeel::conformance
