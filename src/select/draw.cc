// SPDX-License-Identifier: Apache-2.0
#include "select/draw.h"

#include <numeric>

#include "select/mass.h"

namespace truekeel::select {

Hit find_point(const Blocks& blocks, Scale scale, Cut cut, std::span<const std::uint64_t> block_mass,
               std::uint64_t point) {
  Hit hit;
  std::uint32_t block = 0;
  while (hit.begin + block_mass[block] <= point) hit.begin += block_mass[block++];
  BlockWeights weights;
  weights_of_block(blocks, block, scale, weights);
  const Row row = blocks.row();
  for (hit.id = block * kBlock;; ++hit.id) {
    hit.ordinal = ordinal_of(row[hit.id]);
    if (!cut.keeps(hit.ordinal, hit.id)) continue;
    hit.end = hit.begin + weights[hit.id % kBlock];
    if (hit.end > point) return hit;
    hit.begin = hit.end;
  }
}

Choice draw_from_list(const Candidates& list, Ordinal top, Scale scale, std::uint64_t bits,
                      std::span<std::uint64_t> weights) {
  Choice choice;
  choice.kept_count = list.count;
  choice.kept_weight = weights_of(list.all(), scale, weights.first(list.count));
  const std::uint64_t point = scale_bits(bits, choice.kept_weight);
  std::uint32_t at = 0;
  constexpr std::uint32_t kStride = 16;  // many at once until the point is near
  for (; at + kStride <= list.count; at += kStride) {
    const auto near = weights.subspan(at, kStride);
    const std::uint64_t sum = std::accumulate(near.begin(), near.end(), std::uint64_t{0});
    if (choice.begin + sum > point) break;
    choice.begin += sum;
  }
  while (choice.begin + weights[at] <= point) choice.begin += weights[at++];
  choice.end = choice.begin + weights[at];
  choice.id = list.ids[at];
  choice.rank = count_kept(list, {list.ordinals[at], choice.id, true}) - 1;
  choice.key_margin = key_distance(top, list.ordinals[at]);
  return choice;
}

}  // namespace truekeel::select
