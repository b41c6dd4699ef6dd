// SPDX-License-Identifier: Apache-2.0
// Exact top-k of a whole row without a sort. Thread safety: one call at a time a scratch.
#pragma once

#include <cstdint>
#include <span>

#include "select/blocks.h"
#include "select/candidates.h"

namespace truekeel::select {

/// The k best of the row in id order, or all allowed ones if they are fewer.
/// Method: the k-th largest of disjoint groups' maxima is a lower bound of the k-th largest element; few
/// others are above it; a threshold among those is exact. Source: docs/selection.md, section 5. Requires: k
/// >= 1; list and scratch have room for the row and kSlack. Cost: for k far below the size of the row a
/// fraction of the survey that wrote the groups; at worst about three passes.
void top_k(const Blocks& blocks, std::span<const Ordinal> groups, std::uint32_t k, std::span<Ordinal> scratch,
           Candidates& list);

/// Keeps the k best of the list. Requires: k >= 1; scratch has room for the list and kSlack.
void top_k_of(Candidates& list, std::uint32_t k, std::span<Ordinal> scratch);

}  // namespace truekeel::select
