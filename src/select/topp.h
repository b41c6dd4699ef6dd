// SPDX-License-Identifier: Apache-2.0
// Exact top-p without a sort, on a list or on a whole row. Thread safety: one call at a time a scratch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "select/blocks.h"
#include "select/candidates.h"
#include "select/weight.h"

namespace truekeel::select {

/// Room for one row: as many elements as the row has, and kSlack.
struct Scratch {
  std::span<Ordinal> ordinals;
  std::span<std::uint64_t> weights;
};

/// Keeps the shortest prefix of the list whose weights reach this share of its mass; at least one element.
void top_p_of(Candidates& list, Scale scale, double share, Scratch scratch);

/// Keeps the shortest prefix of the list whose weights reach `needed`.
/// Requires: scratch.weights holds those of the list; 1 <= needed <= their sum.
void keep_mass(Candidates& list, Scale scale, std::uint64_t needed, Scratch scratch);

/// The mass that top-p needs: this share of it, and at least one unit.
[[nodiscard]] std::uint64_t needed_of(double share, std::uint64_t mass);

/// A prefix of a row too long for a list: where it ends, and its mass block by block.
struct Prefix {
  Cut cut;
  std::uint64_t mass = 0;
  std::uint32_t count = 0;
};

/// The shortest prefix of the row whose weights reach `needed`. A short one is left in the list, and nothing
/// is returned; of a long one block_mass, which held the masses of all tokens, which sum to total, becomes
/// its own. Method: maxima of groups bound the threshold from below where they hold enough; else a sample of
/// the row brackets it; one pass lists what is at and above the bracket, or sums what is above and lists what
/// is in it; the sums certify the bracket, or tell which side to take instead. Source: docs/selection.md,
/// section 5. Requires: 1 <= needed <= total; groups are those of the row. Cost: at most one exponential more
/// for each token, then about two passes over the list.
[[nodiscard]] std::optional<Prefix> top_p(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale,
                                          std::uint64_t total, std::uint64_t needed,
                                          std::span<std::uint64_t> block_mass, Scratch scratch,
                                          Candidates& list);

}  // namespace truekeel::select
