// SPDX-License-Identifier: Apache-2.0
// The full record of a token: where it stands in the raw distribution. Thread safety: one call at a time.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "select/buffers.h"
#include "select/record.h"

namespace truekeel::select {

/// Requires: raw is the row before edits, top its survey's, and buffers.groups as that survey wrote them;
/// mass is the row's at temperature 1 where known. Overwrites buffers.scratch and block_mass. Cost: one
/// exponential a token unless mass is known, and the tokens above 1e-5.
[[nodiscard]] FullRecord full_record(const Blocks& raw, Ordinal top, std::optional<std::uint64_t> mass,
                                     std::uint32_t id, Buffers& buffers);

using TailSums = std::array<std::uint64_t, kTailCuts.size()>;

/// The mass of the row's tokens at and above each cut of a distribution with this total mass. The few above
/// are summed, not the many below. Overwrites buffers.scratch.
[[nodiscard]] TailSums sums_above_cuts(const Blocks& raw, Scale scale, std::uint64_t total, Buffers& buffers);

/// The record of a token with this logit in a row with this top.
[[nodiscard]] FullRecord make_full_record(Ordinal top, std::uint32_t top_id, float logit, std::uint64_t total,
                                          const TailSums& above);

}  // namespace truekeel::select
