// SPDX-License-Identifier: Apache-2.0
#include "select/full_record.h"

#include "select/logarithm.h"
#include "select/mass.h"
#include "select/pipeline.h"
#include "select/survey.h"

namespace truekeel::select {
namespace {

/// The probability of all tokens below each cut. The few above are summed, not the many below.
std::array<double, kTailCuts.size()> tail_masses(const Blocks& raw, Scale scale, std::uint64_t mass,
                                                 Buffers& buffers) {
  std::array<std::uint64_t, kTailCuts.size()> least;
  for (std::size_t cut = 0; cut < kTailCuts.size(); ++cut) least[cut] = share_of(kTailCuts[cut], mass);
  static_assert(kTailCuts.back() < kTailCuts.front());
  Candidates& list = buffers.list;
  list.count = 0;
  // No weight reaches a cut that is above the top's: then all are below.
  if (least.back() <= kWeightMax)
    collect(raw, buffers.groups, ordinal_with_weight(least.back(), scale), kInfinityOrdinal, list);
  const auto weights = buffers.scratch.weights.first(list.count);
  weights_of(list.all(), scale, weights);
  std::array<double, kTailCuts.size()> tail;
  for (std::size_t cut = 0; cut < kTailCuts.size(); ++cut) {
    std::uint64_t above = 0;
    for (const std::uint64_t weight : weights) above += weight >= least[cut] ? weight : 0;
    tail[cut] = static_cast<double>(mass - above) / static_cast<double>(mass);
  }
  return tail;
}

}  // namespace

FullRecord full_record(const Blocks& raw, Ordinal top, std::optional<std::uint64_t> mass, std::uint32_t id,
                       Buffers& buffers) {
  const float max = value_of_ordinal(top);
  const Scale scale = Scale::of(max, 1);
  const std::uint64_t total = mass ? *mass : mass_of(raw, buffers.groups, scale, buffers.block_mass);
  const double logit = static_cast<double>(raw.row()[id]);
  FullRecord full;
  full.normaliser = static_cast<double>(max) + natural_log(static_cast<double>(total) * 0x1p-44);
  full.logprob = logit - full.normaliser;
  full.top_id = first_with(raw, buffers.groups, top);
  full.top_margin = static_cast<double>(max) - logit;
  full.tail_mass = tail_masses(raw, scale, total, buffers);
  return full;
}

}  // namespace truekeel::select
