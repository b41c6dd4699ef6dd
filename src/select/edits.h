// SPDX-License-Identifier: Apache-2.0
// Bias, penalties and masks: they change logits, so they work on a copy of the row.
// Thread safety: pure functions but for their outputs.
#pragma once

#include <span>

#include "select/blocks.h"
#include "select/params.h"

namespace truekeel::select {

/// The row widened to fp32, with the chain's edits applied in its order, in `edited`.
/// first_id is the id of the row's first element, for rows that are part of a vocabulary.
/// Requires: params are checked; edited holds whole blocks. Cost: one copy; one more pass for a mask.
[[nodiscard]] Blocks apply_edits(const Blocks& blocks, const Params& params, std::uint32_t first_id,
                                 std::span<float> edited);

}  // namespace truekeel::select
