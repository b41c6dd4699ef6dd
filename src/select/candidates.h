// SPDX-License-Identifier: Apache-2.0
// A part of a row as a list: ordinals with their ids, in id order. Thread safety: one call at a time a list.
// Invariants: ids ascend; nothing is allocated; the arrays have kSlack elements more than are ever used,
// since vectors are stored whole.
#pragma once

#include <cstdint>
#include <span>

#include "select/blocks.h"
#include "select/weight.h"

namespace truekeel::select {

inline constexpr std::uint32_t kSlack = 16;

struct Candidates {
  Ordinal* ordinals = nullptr;
  std::uint32_t* ids = nullptr;
  std::uint32_t count = 0;

  [[nodiscard]] std::span<const Ordinal> all() const { return {ordinals, count}; }
};

/// Appends every element whose ordinal is at least this, or is this one.
/// Requires: it is above kForbiddenOrdinal. Cost: reads the blocks that have a maximum of at least that.
void collect(const Blocks& blocks, std::span<const Ordinal> groups, Ordinal least, Candidates& list);
void collect_equal(const Blocks& blocks, std::span<const Ordinal> groups, Ordinal wanted, Candidates& list);

/// A prefix of the order (key descending, id ascending): all above the threshold, and those equal to it whose
/// id is at most last_tie.
struct Cut {
  Ordinal threshold = 0;
  std::uint32_t last_tie = 0;
  bool ties = false;  ///< false: none of those equal to it

  [[nodiscard]] bool keeps(Ordinal ordinal, std::uint32_t id) const {
    return ordinal > threshold || (ties && ordinal == threshold && id <= last_tie);
  }
  [[nodiscard]] static Cut at_least(Ordinal least) { return {least - 1, 0, false}; }
  /// All that is not forbidden.
  [[nodiscard]] static Cut everything() { return {kForbiddenOrdinal, 0, false}; }
};

/// Drops what the cut does not keep.
void retain(Candidates& list, Cut cut);

/// How many elements the cut keeps.
[[nodiscard]] std::uint32_t count_kept(const Candidates& list, Cut cut);

/// The id of the n-th element, counted from 1, that has this ordinal. Requires: there is one.
[[nodiscard]] std::uint32_t nth_with(const Candidates& list, Ordinal ordinal, std::uint32_t n);

}  // namespace truekeel::select
