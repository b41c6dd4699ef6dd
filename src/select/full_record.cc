// SPDX-License-Identifier: Apache-2.0
#include "select/full_record.h"

#include <bit>

#include "select/bracket.h"
#include "select/logarithm.h"
#include "select/mass.h"
#include "select/survey.h"

namespace truekeel::select {

/// From the lowest cut to the highest: what is above one is among what is above the one before. Lists it as
/// soon as it is short.
TailSums sums_above_cuts(const Blocks& raw, Scale scale, std::uint64_t total, Buffers& buffers) {
  const auto groups = buffers.groups.first(static_cast<std::size_t>(raw.count()) * kGroups);
  Candidates& list = buffers.list;
  TailSums above{};
  bool listed = false;
  for (std::size_t cut = above.size(); cut-- > 0;) {
    const std::uint64_t least = share_of(kTailCuts[cut], total);
    if (least > kWeightMax) break;  // not even the top reaches it
    const Ordinal ordinal = ordinal_with_weight(least, scale);
    if (listed) {
      retain(list, Cut::at_least(ordinal));
    } else {
      list.count = 0;
      listed = !many_at_least(groups, ordinal);
      if (listed) collect(raw, groups, ordinal, list);
    }
    above[cut] =
        listed ? weights_of(list.all(), scale, buffers.scratch.weights.first(list.count))
               : sum_above(raw, groups, scale, {ordinal, ordinal}, false, buffers.block_mass, list).mass;
  }
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
