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
/// Cost: reads blocks with a maximum in the bracket or above; exponentials for those with one above.
[[nodiscard]] Above sum_above(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale,
                              Bracket bracket, std::span<std::uint64_t> block_mass, Candidates& list);

}  // namespace truekeel::select
