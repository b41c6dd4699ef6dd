// SPDX-License-Identifier: Apache-2.0
// The first pass over a row: maxima of all groups, and whether anything may be wrong with it.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "select/blocks.h"
#include "select/record.h"

namespace truekeel::select {

struct Survey {
  Ordinal top = kForbiddenOrdinal;
  bool all_allowed = false;  ///< true: surely no token is forbidden
};

/// Writes the maximum of each group, block by block (kGroups a block), and finds the top.
/// Fault::nan_logit or Fault::infinite_logit otherwise; a row without any allowed token is no fault here.
/// Requires: groups holds kGroups * blocks.count(). Cost: reads the row once.
[[nodiscard]] std::expected<Survey, Failure> survey(const Blocks& blocks, std::span<Ordinal> groups);

/// The lowest id that has this ordinal. Requires: there is one; groups as survey() wrote them.
[[nodiscard]] std::uint32_t first_with(const Blocks& blocks, std::span<const Ordinal> groups,
                                       Ordinal ordinal);

/// The ordinals of one block, padding included. Requires: out holds kBlock.
void ordinals_of(const Blocks& blocks, std::uint32_t block, std::span<Ordinal> out);

/// How many groups have a maximum of at least this. Requires: whole blocks of groups.
[[nodiscard]] std::size_t groups_at_least(std::span<const Ordinal> groups, Ordinal least);

/// Whether a list of all elements of at least this would be long: three quarters of the groups of 16 have one
/// when one in twelve elements is.
[[nodiscard]] inline bool many_at_least(std::span<const Ordinal> groups, Ordinal least) {
  return groups_at_least(groups, least) * 4 > groups.size() * 3;
}

/// How many tokens have an ordinal of at least this. Skips blocks whose maxima are below. Requires: least is
/// above kForbiddenOrdinal.
[[nodiscard]] std::uint32_t count_at_least(const Blocks& blocks, std::span<const Ordinal> groups,
                                           Ordinal least);

/// How many tokens stand before this one in the order (key descending, id ascending). Cost: as above.
[[nodiscard]] std::uint32_t rank_of(const Blocks& blocks, std::span<const Ordinal> groups, Ordinal ordinal,
                                    std::uint32_t id);

}  // namespace truekeel::select
