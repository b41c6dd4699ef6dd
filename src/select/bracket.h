// SPDX-License-Identifier: Apache-2.0
// One pass for top-p: sums what is above a bracket of ordinals and lists what is in it.
// Thread safety: pure function but for its outputs.
#pragma once

#include <cstdint>
#include <span>

#include "select/blocks.h"
#include "select/candidates.h"
#include "select/weight.h"

namespace truekeel::select {

/// The ordinals [low, high).
struct Bracket {
  Ordinal low = 0, high = 0;
};

struct Above {
  std::uint64_t mass = 0;
  std::uint32_t count = 0;
};

/// Writes the mass at and above bracket.high of each block, appends the elements of the bracket to the list.
/// has_totals: block_mass holds the masses of all elements; then, of blocks most of which is above, only the
/// rest is weighed. Cost: reads blocks with a maximum in the bracket or above; an exponential for those
/// elements of them that are above, or for the others.
[[nodiscard]] Above sum_above(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale,
                              Bracket bracket, bool has_totals, std::span<std::uint64_t> block_mass,
                              Candidates& list);

}  // namespace truekeel::select
