// SPDX-License-Identifier: Apache-2.0
// Guesses where the threshold of top-p lies, from a sample of the row. Thread safety: pure function.
#pragma once

#include <cstdint>

#include "select/blocks.h"
#include "select/bracket.h"
#include "select/weight.h"

namespace truekeel::select {

/// How many elements a sample has.
inline constexpr std::uint32_t kSampleSize = 1024;

inline constexpr Bracket kWholeRow = {kForbiddenOrdinal + 1, kInfinityOrdinal};

/// A bracket of the ordinal below which all tokens together weigh `dropped`, this many standard errors wide.
/// A wrong one costs time, never correctness: sums are in floats. The tail is estimated, not the head: it
/// consists of many small weights. Rows too short to sample give kWholeRow.
[[nodiscard]] Bracket guess(const Blocks& blocks, Scale scale, std::uint64_t dropped, float errors);

}  // namespace truekeel::select
