// SPDX-License-Identifier: Apache-2.0
#include "select/topp.h"

#include <algorithm>

#include "base/assert.h"
#include "select/bracket.h"
#include "select/mass.h"
#include "select/survey.h"
#include "select/threshold.h"

namespace truekeel::select {
namespace {

/// A row of up to this many blocks is listed whole; of a longer one this many blocks are sampled.
constexpr std::uint32_t kBlocksListed = 32, kBlocksSampled = 16;
static_assert(2 * kBlocksSampled <= kBlocksListed, "the scratch holds the sample and a copy");

constexpr Bracket kEverything = {kForbiddenOrdinal + 1, kInfinityOrdinal};

/// The prefix of a list whose weights reach `needed`, 1 <= needed <= their sum. Overwrites the scratch.
Cut cut_by_mass(const Candidates& list, Scale scale, std::uint64_t needed, Scratch scratch) {
  const auto ordinals = scratch.ordinals.first(list.count);
  const auto weights = scratch.weights.first(list.count);
  std::ranges::copy(list.all(), ordinals.begin());
  const Threshold threshold = threshold_of_mass(ordinals, weights, needed);
  const std::uint64_t each = weight_of(value_of_ordinal(threshold.ordinal), scale);
  const std::uint64_t ties = (needed - threshold.above + each - 1) / each;
  return {threshold.ordinal, nth_with(list, threshold.ordinal, static_cast<std::uint32_t>(ties)), true};
}

constexpr std::uint32_t kSampleSize = kBlocksSampled * kBlock;

/// Ordinals of some blocks, evenly spread, with their weights; in the second part of the scratch.
struct Sample {
  std::span<Ordinal> ordinals;
  std::span<std::uint64_t> weights;
  std::uint64_t mass = 0;
};

Sample take_sample(const Blocks& blocks, Scale scale, Scratch scratch) {
  Sample sample{scratch.ordinals.subspan(kSampleSize, kSampleSize),
                scratch.weights.subspan(kSampleSize, kSampleSize)};
  const std::uint32_t step = blocks.count() / kBlocksSampled;
  for (std::uint32_t i = 0; i < kBlocksSampled; ++i)
    ordinals_of(blocks, i * step, sample.ordinals.subspan(i * kBlock, kBlock));
  sample.mass = weights_of(sample.ordinals, scale, sample.weights);
  return sample;
}

/// The threshold that drops about this much of a sample's mass, or its maximum when that is all.
Ordinal drop_from(const Sample& sample, uint128 dropped, Scratch scratch) {
  const auto ordinals = scratch.ordinals.first(kSampleSize);
  const auto weights = scratch.weights.first(kSampleSize);
  std::ranges::copy(sample.ordinals, ordinals.begin());
  std::ranges::copy(sample.weights, weights.begin());
  const auto needed = dropped >= sample.mass ? 1 : sample.mass - static_cast<std::uint64_t>(dropped);
  return threshold_of_mass(ordinals, weights, needed).ordinal;
}

/// A guess of where the threshold lies. A wrong one costs time, never correctness. The tail, not the head, is
/// estimated: it consists of many small weights, so that a sample tells its mass within a few percent.
Bracket guess(const Blocks& blocks, Scale scale, std::uint64_t slack, Scratch scratch) {
  if (blocks.count() <= kBlocksListed) return kEverything;
  const Sample sample = take_sample(blocks, scale, scratch);
  if (sample.mass == 0) return kEverything;
  const uint128 dropped = static_cast<uint128>(slack) * kSampleSize / blocks.size;
  const Ordinal low = std::max(drop_from(sample, dropped * 7 / 8, scratch), kEverything.low);
  if (dropped * 9 / 8 >= sample.mass) return {low, kEverything.high};
  return {low, std::max(low, drop_from(sample, dropped * 9 / 8, scratch))};
}

}  // namespace

std::uint64_t needed_of(double share, std::uint64_t mass) {
  return std::max<std::uint64_t>(1, share_of(share, mass));
}

void keep_mass(Candidates& list, Scale scale, std::uint64_t needed, Scratch scratch) {
  retain(list, cut_by_mass(list, scale, needed, scratch));
}

void top_p_of(Candidates& list, Scale scale, double share, Scratch scratch) {
  const std::uint64_t mass = weights_of(list.all(), scale, scratch.weights.first(list.count));
  keep_mass(list, scale, needed_of(share, mass), scratch);
}

Prefix top_p(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale, std::uint64_t total,
             std::uint64_t needed, std::span<std::uint64_t> block_mass, Scratch scratch, Candidates& list) {
  TK_ASSERT(needed >= 1 && needed <= total);
  Bracket bracket = guess(blocks, scale, total - needed, scratch);
  Above above;
  for (;;) {
    list.count = 0;
    above = sum_above(blocks, groups, scale, bracket, block_mass, list);
    const auto weights = scratch.weights.first(list.count);
    const std::uint64_t inside = weights_of(list.all(), scale, weights);
    if (above.mass >= needed)
      bracket = {bracket.high, kInfinityOrdinal};
    else if (above.mass + inside < needed)
      bracket = {kEverything.low, bracket.low};
    else
      break;
  }
  Prefix prefix{cut_by_mass(list, scale, needed - above.mass, scratch), above.mass, above.count};
  retain(list, prefix.cut);
  const auto weights = scratch.weights.first(list.count);
  prefix.mass += weights_of(list.all(), scale, weights);
  prefix.count += list.count;
  for (std::uint32_t i = 0; i < list.count; ++i) block_mass[list.ids[i] / kBlock] += weights[i];
  return prefix;
}

}  // namespace truekeel::select
