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

Hit find_point(const Candidates& list, std::span<const std::uint64_t> weights, std::uint64_t point) {
  std::uint64_t begin = 0;
  std::uint32_t at = 0;
  constexpr std::uint32_t kStride = 16;  // many at once until the point is near
  for (; at + kStride <= list.count; at += kStride) {
    const auto near = weights.subspan(at, kStride);
    const std::uint64_t sum = std::accumulate(near.begin(), near.end(), std::uint64_t{0});
    if (begin + sum > point) break;
    begin += sum;
  }
  while (begin + weights[at] <= point) begin += weights[at++];
  return {list.ids[at], list.ordinals[at], begin, begin + weights[at]};
}

Choice draw_from_list(const Candidates& list, Ordinal top, Scale scale, std::uint64_t bits,
                      std::span<std::uint64_t> weights) {
  const auto used = weights.first(list.count);
  const std::uint64_t mass = weights_of(list.all(), scale, used);
  const Hit hit = find_point(list, used, scale_bits(bits, mass));
  return {.id = hit.id,
          .rank = count_kept(list, {hit.ordinal, hit.id, true}) - 1,
          .key_margin = key_distance(top, hit.ordinal),
          .kept_count = list.count,
          .kept_weight = mass,
          .begin = hit.begin,
          .end = hit.end};
}

}  // namespace truekeel::select
