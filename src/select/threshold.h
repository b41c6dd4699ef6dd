// SPDX-License-Identifier: Apache-2.0
// Where to cut a set so that what lies above is just enough: by count (top-k) or by weight (top-p).
// Thread safety: pure functions but for the scratch arrays.
#pragma once

#include <cstdint>
#include <span>

#include "select/blocks.h"

namespace truekeel::select {

/// All elements above the ordinal come to `above`. Either that is just what was needed, or it is less and
/// some of those equal to the ordinal are needed too.
struct Threshold {
  Ordinal ordinal = 0;
  std::uint64_t above = 0;
};

/// The threshold at which counts reach `needed`. Overwrites the ordinals.
/// Requires: 1 <= needed <= size; kSlack elements after the last may be overwritten. Cost: bisection over
/// ordinals, each step on what the last one left: about two passes, never more than 32; no sort.
[[nodiscard]] Threshold threshold_of_count(std::span<Ordinal> ordinals, std::uint32_t needed);

/// The same for sums of weights. The search starts at the guess, whatever it is.
/// Requires: 1 <= needed <= sum of the weights.
[[nodiscard]] Threshold threshold_of_mass(std::span<Ordinal> ordinals, std::span<std::uint64_t> weights,
                                          std::uint64_t needed, Ordinal guess);

}  // namespace truekeel::select
