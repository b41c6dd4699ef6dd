// SPDX-License-Identifier: Apache-2.0
#include "select/full_record.h"

#include "select/logarithm.h"
#include "select/mass.h"
#include "select/survey.h"

namespace truekeel::select {
TailSums sums_above_cuts(const Blocks& raw, Scale scale, std::uint64_t total, Buffers& buffers) {
  TailSums least;
  for (std::size_t cut = 0; cut < least.size(); ++cut) least[cut] = share_of(kTailCuts[cut], total);
  static_assert(kTailCuts.back() < kTailCuts.front());
  Candidates& list = buffers.list;
  list.count = 0;
  // No weight reaches a cut that is above the top's: then all are below.
  if (least.back() <= kWeightMax)
    collect(raw, buffers.groups, ordinal_with_weight(least.back(), scale), kInfinityOrdinal, list);
  const auto weights = buffers.scratch.weights.first(list.count);
  weights_of(list.all(), scale, weights);
  TailSums above{};
  for (const std::uint64_t weight : weights)
    for (std::size_t cut = 0; cut < least.size(); ++cut) above[cut] += weight >= least[cut] ? weight : 0;
  return above;
}

FullRecord make_full_record(Ordinal top, std::uint32_t top_id, float logit, std::uint64_t total,
                            const TailSums& above) {
  const auto max = static_cast<double>(value_of_ordinal(top)), own = static_cast<double>(logit);
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
