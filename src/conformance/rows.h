// SPDX-License-Identifier: Apache-2.0
// Comparing draws across arrangements that must not matter. Thread safety: as the session's.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "conformance/check.h"

namespace truekeel::conformance {

/// Draws of every row at `steps` positions: [row][step].
using Drawn = std::vector<std::vector<Draw>>;

/// One call with these rows; `arrange` may set the call's knobs.
[[nodiscard]] Result<Drawn> draw_together(Session& session, std::span<const Row> rows, std::uint64_t steps,
                                          const std::function<void(Call&)>& arrange = {});

/// One call for each row.
[[nodiscard]] Result<Drawn> draw_alone(Session& session, std::span<const Row> rows, std::uint64_t steps);

/// The first difference of two sets of draws, in words; empty if there is none. Rows without a seed are
/// not compared. Two refusals are equal whatever their words. Up to `allowed` differences are ignored.
[[nodiscard]] std::string difference(std::span<const Row> rows, const Drawn& left, const Drawn& right,
                                     std::size_t allowed = 0);

/// Seeded rows of one vocabulary that use every step that the chain offers, in turn.
[[nodiscard]] std::vector<Row> mixed_rows(const Semantics& semantics, std::size_t count,
                                          std::size_t vocabulary);

}  // namespace truekeel::conformance
