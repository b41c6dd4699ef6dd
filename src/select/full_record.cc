// SPDX-License-Identifier: Apache-2.0
#include "select/full_record.h"

#include <algorithm>
#include <array>
#include <bit>
#include <span>

#include "select/logarithm.h"
#include "select/mass.h"
#include "select/survey.h"
#include "select/tail.h"

namespace truekeel::select {

TailSums sums_above_cuts(const Blocks& raw, Scale scale, std::uint64_t total, Buffers& buffers) {
  std::array<Ordinal, kTailCuts.size()> ordinals{};  // from the lowest cut to the highest
  std::size_t count = 0;
  while (count < ordinals.size()) {
    const std::uint64_t least = share_of(kTailCuts[kTailCuts.size() - 1 - count], total);
    if (least > kWeightMax) break;  // not even the top reaches it
    ordinals[count++] = ordinal_with_weight(least, scale);
  }
  TailSums above{};
  sums_at_least(raw, buffers.groups, scale, std::span(ordinals).first(count), buffers.scratch.ordinals,
                std::span(above).first(count));
  std::ranges::reverse(above);
  return above;
}

namespace {

/// Exact even where the caller has told the CPU to take denormals for zero.
double widened(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & kInfinityBits) != 0) return static_cast<double>(value);
  const double magnitude = static_cast<double>(bits & ~kSignBit) * 0x1p-149;
  return (bits & kSignBit) != 0 ? -magnitude : magnitude;
}

}  // namespace

FullRecord make_full_record(Ordinal top, std::uint32_t top_id, float logit, std::uint64_t total,
                            const TailSums& above) {
  const double max = widened(value_of_ordinal(top)), own = widened(logit);
  const auto mass = static_cast<double>(total);
  FullRecord full;
  full.normaliser = max + natural_log(mass * 0x1p-44);
  full.logprob = own - full.normaliser;
  full.top_id = top_id;
  full.top_margin = max - own;
  for (std::size_t cut = 0; cut < above.size(); ++cut)
    full.tail_mass[cut] = static_cast<double>(total - above[cut]) / mass;
  return full;
}

FullRecord full_record(const Blocks& raw, Ordinal top, std::optional<std::uint64_t> mass, std::uint32_t id,
                       Buffers& buffers) {
  const Scale scale = Scale::of(value_of_ordinal(top), 1);
  const std::uint64_t total = mass ? *mass : mass_of(raw, buffers.groups, scale, buffers.block_mass);
  const std::uint32_t top_id = first_with(raw, buffers.groups, top);
  return make_full_record(top, top_id, raw.row()[id], total, sums_above_cuts(raw, scale, total, buffers));
}

}  // namespace truekeel::select
