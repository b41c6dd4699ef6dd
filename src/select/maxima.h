// SPDX-License-Identifier: Apache-2.0
// What the maxima of groups tell of a row: they are elements of it, no two the same. Thread safety: pure
// functions but for their outputs.
#pragma once

#include <cstdint>
#include <span>

#include "select/blocks.h"

namespace truekeel::select {

/// Maxima of 16 blocks at a time, group by group: 16 maxima of 256 elements each. Returns how many.
/// Requires: merged has room for as many as there are groups.
std::uint32_t merge_groups(std::span<const Ordinal> groups, std::span<Ordinal> merged);

/// Writes the maxima of at least this; returns how many. Requires: room for all groups and kSlack.
std::uint32_t maxima_at_least(std::span<const Ordinal> groups, Ordinal least, std::span<Ordinal> out);

}  // namespace truekeel::select
