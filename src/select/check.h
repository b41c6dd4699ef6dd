// SPDX-License-Identifier: Apache-2.0
// Checks parameters before anything is computed with them. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "select/params.h"
#include "select/record.h"

namespace truekeel::select {

/// The first fault of these parameters for a vocabulary of this size, with row 0; nothing when they are fine.
/// Cost: one step per element of counts and bias.
[[nodiscard]] std::optional<Failure> check(const Params& params, std::uint32_t vocabulary);

/// Whether bias, penalties or mask would change any logit.
[[nodiscard]] bool edits_logits(const Params& params);

}  // namespace truekeel::select
