// SPDX-License-Identifier: Apache-2.0
// The contract as plain scalar code: the oracle that every fast path is tested against.
// Thread safety: pure functions. Cost: sorts the row and allocates; for tests and for readers.
#pragma once

#include <vector>

#include "select/params.h"
#include "select/record.h"

namespace truekeel::select {

/// As select() in select.h.
[[nodiscard]] Outcome reference_select(const Row& row, const Params& params, Draw draw,
                                       FullRecord* full = nullptr);

}  // namespace truekeel::select
