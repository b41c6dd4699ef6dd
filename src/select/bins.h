// SPDX-License-Identifier: Apache-2.0
// Approximate top-k by bins, as accelerators do it, with a certificate: each bin keeps its best token alone,
// and the k best of those are taken. Thread safety: one call at a time a workspace.
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "select/buffers.h"
#include "select/record.h"
#include "select/select.h"

namespace truekeel::select {

/// The fewest bins: one for each element of a block.
inline constexpr std::uint32_t kBinsMin = kBlock;

struct BinOptions {
  std::uint32_t k = 0;     ///< at least 1
  std::uint32_t bins = 0;  ///< a power of two from kBinsMin on; token t is in bin t % bins
  bool exact_if_uncertified =
      true;  ///< answer by the exact algorithm where the bins' answer is not certified
};

struct BinAnswer {
  std::uint32_t count =
      0;  ///< tokens written: k, or all that are allowed (by bins: all that bins kept) if fewer
  bool certified =
      false;  ///< no token that a bin dropped stands before any that it gave: the bins' answer is exact
  bool exact = false;  ///< certified, or answered by the exact algorithm

  bool operator==(const BinAnswer&) const = default;
};

/// Writes the k best tokens of the order (key descending, id ascending), by bins, ids ascending. The best
/// token of all is always among them. Fault::bad_batch when the options are out of range or ids has no room
/// for k; faults of the row as select() has them. Cost: two passes, and the winners' bins once more for the
/// certificate. Method and mathematics: docs/selection.md, section 6.
[[nodiscard]] std::expected<BinAnswer, Failure> top_k_by_bins(const Row& row, BinOptions options,
                                                              Workspace& workspace,
                                                              std::span<std::uint32_t> ids);

/// The same in memory that the caller laid out.
[[nodiscard]] std::expected<BinAnswer, Failure> top_k_by_bins_in(Buffers& buffers, const Row& row,
                                                                 BinOptions options,
                                                                 std::span<std::uint32_t> ids);

}  // namespace truekeel::select
