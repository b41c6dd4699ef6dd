// SPDX-License-Identifier: Apache-2.0
// The inverse CDF in id order: from a point of the kept mass to a token and its interval.
// Thread safety: pure functions but for the scratch.
#pragma once

#include <cstdint>
#include <span>

#include "select/blocks.h"
#include "select/candidates.h"
#include "select/record.h"
#include "select/weight.h"

namespace truekeel::select {

/// A token with its interval.
struct Hit {
  std::uint32_t id = 0;
  Ordinal ordinal = 0;
  std::uint64_t begin = 0, end = 0;
};

/// The token whose interval holds the point. block_mass holds what the cut keeps, block by block.
/// Requires: point is below the sum of block_mass.
[[nodiscard]] Hit find_point(const Blocks& blocks, Scale scale, Cut cut,
                             std::span<const std::uint64_t> block_mass, std::uint64_t point);

/// The same in a list with these weights. Requires: point is below their sum.
[[nodiscard]] Hit find_point(const Candidates& list, std::span<const std::uint64_t> weights,
                             std::uint64_t point);

/// Draws from a list that is a prefix of the order of a row with this top.
/// Requires: weights has room for the list.
[[nodiscard]] Choice draw_from_list(const Candidates& list, Ordinal top, Scale scale, std::uint64_t bits,
                                    std::span<std::uint64_t> weights);

/// The distance of two ordinals in keys.
[[nodiscard]] inline std::uint32_t key_distance(Ordinal top, Ordinal ordinal) {
  return key_of_ordinal(top) - key_of_ordinal(ordinal);
}

}  // namespace truekeel::select
