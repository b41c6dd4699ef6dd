// SPDX-License-Identifier: Apache-2.0
// Makes a failing example small: fewer rows, fewer tokens, plainer parameters, rounder logits.
// Thread safety: pure but for the predicate.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "conformance/sampler.h"

namespace truekeel::conformance {

using StillFails = std::function<bool(std::span<const Row>)>;

/// The smallest rows that one-step simplifications reach from `rows` while `fails` holds. Calls `fails` at
/// most `budget` times. Requires: fails(rows). Invariant: all rows keep one vocabulary, ids stay inside it.
[[nodiscard]] std::vector<Row> shrink(std::vector<Row> rows, const StillFails& fails, std::size_t budget);

}  // namespace truekeel::conformance
