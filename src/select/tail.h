// SPDX-License-Identifier: Apache-2.0
// The mass of what lies above several cuts of one row. Thread safety: pure function but for the scratch.
#pragma once

#include <cstdint>
#include <span>

#include "select/blocks.h"
#include "select/weight.h"

namespace truekeel::select {

/// Writes for each cut the mass of the elements of at least that ordinal. What is above one cut is listed
/// from what is above the one before: values alone, neither ids nor ordinals. Overwrites the scratch.
/// Requires: cuts ascend, all above kForbiddenOrdinal; sums is as long; groups as survey() wrote them;
/// scratch has room for the row and kSlack. Cost: reads blocks with a maximum above the lowest cut, at two to
/// three times the time of reading alone; an exponential for each element above a cut.
void sums_at_least(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale,
                   std::span<const Ordinal> cuts, std::span<Ordinal> scratch, std::span<std::uint64_t> sums);

}  // namespace truekeel::select
