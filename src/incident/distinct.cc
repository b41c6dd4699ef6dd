// SPDX-License-Identifier: Apache-2.0
#include "incident/distinct.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace truekeel::incident {

static_assert(std::has_single_bit(Distinct::kRegisters));

void Distinct::add(std::uint64_t hash) {
  const auto place = hash % kRegisters;
  const auto rest = hash / kRegisters;
  constexpr int kRestBits = 64 - std::countr_zero(kRegisters);
  const auto rank = static_cast<std::uint8_t>(std::countl_zero(rest) - (64 - kRestBits) + 1);
  ranks_[place] = std::max(ranks_[place], rank);
}

void Distinct::merge(const Distinct& other) {
  for (std::size_t i = 0; i < kRegisters; ++i) ranks_[i] = std::max(ranks_[i], other.ranks_[i]);
}

double Distinct::estimate() const {
  constexpr double m = kRegisters;
  constexpr double kBias = 0.7213 / (1 + 1.079 / m);
  double sum = 0;
  for (const auto rank : ranks_) sum += std::ldexp(1.0, -rank);
  const double raw = kBias * m * m / sum;
  const auto zeros = static_cast<double>(std::ranges::count(ranks_, 0));
  return raw <= 2.5 * m && zeros > 0 ? m * std::log(m / zeros) : raw;
}

}  // namespace truekeel::incident
