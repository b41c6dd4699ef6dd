// SPDX-License-Identifier: Apache-2.0
#include "select/histogram.h"

#include "select/mass.h"
#include "select/survey.h"

namespace truekeel::select {
namespace {

constexpr int kBinBits = 11;
constexpr std::array<int, 3> kShifts = {21, 10, 0};
using Bins = std::array<std::uint64_t, 1 << kBinBits>;

struct Level {
  int shift;
  int width;   ///< bits of the key in this histogram
  Key prefix;  ///< the key's bits above them
};

void add(const Blocks& blocks, const Buffers& buffers, Cut cut, Scale scale, Measure measure, Level level,
         Bins& bins) {
  std::array<Ordinal, kBlock> ordinals;
  BlockWeights weights;
  weights.fill(1);
  for (std::uint32_t block = 0; block < blocks.count(); ++block) {
    const auto groups = buffers.groups.subspan(static_cast<std::size_t>(block) * kGroups, kGroups);
    if (std::ranges::max(groups) < cut.threshold) continue;
    ordinals_of(blocks, block, ordinals);
    if (measure == Measure::mass) weights_of_block(blocks, block, scale, weights);
    for (std::uint32_t i = 0; i < kBlock; ++i) {
      if (!cut.keeps(ordinals[i], block * kBlock + i)) continue;
      const std::uint64_t key = key_of_ordinal(ordinals[i]);
      if (key >> (level.shift + level.width) != level.prefix) continue;
      bins[(key >> level.shift) & ((1u << level.width) - 1)] += weights[i];
    }
  }
}

}  // namespace

std::optional<Threshold> threshold_over_shards(const Blocks& blocks, const Buffers& buffers, Cut cut,
                                               Scale scale, Measure measure, std::uint64_t needed,
                                               Transport& transport) {
  Key prefix = 0;
  std::uint64_t above = 0;
  int top = 32;
  for (const int shift : kShifts) {
    Bins bins{};
    add(blocks, buffers, cut, scale, measure, {shift, top - shift, prefix}, bins);
    if (!transport.all_reduce_sum(bins)) return std::nullopt;
    std::uint32_t bin = (1u << (top - shift)) - 1;
    while (above + bins[bin] < needed) above += bins[bin--];
    prefix = prefix << (top - shift) | bin;
    top = shift;
  }
  return Threshold{ordinal_of(value_of(prefix)), above};
}

}  // namespace truekeel::select
