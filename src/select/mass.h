// SPDX-License-Identifier: Apache-2.0
// Sums of weights over a row, block by block, and the weights of one block. Thread safety: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "select/blocks.h"
#include "select/weight.h"

namespace truekeel::select {

/// Writes the sum of weights of each block and returns the sum of all. groups as survey() wrote them.
/// Requires: block_mass holds blocks.count(). Cost: one exponential a token, but for blocks without any
/// weight.
[[nodiscard]] std::uint64_t mass_of(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale,
                                    std::span<std::uint64_t> block_mass);

/// An ordinal below which weights are 0 for sure; some of those above may be 0 too.
[[nodiscard]] Ordinal weightless_below(Scale scale);

/// The least ordinal whose weight is at least this. Requires: 1 <= least <= kWeightMax.
[[nodiscard]] Ordinal ordinal_with_weight(std::uint64_t least, Scale scale);

using BlockWeights = std::array<std::uint64_t, kBlock>;

/// The weights of the elements of one block.
void weights_of_block(const Blocks& blocks, std::uint32_t block, Scale scale, BlockWeights& weights);

/// The weights of a list of ordinals; returns their sum. Requires: weights is as long as ordinals, and both
/// have kSlack elements after their last.
std::uint64_t weights_of(std::span<const Ordinal> ordinals, Scale scale, std::span<std::uint64_t> weights);

}  // namespace truekeel::select
