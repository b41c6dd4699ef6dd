// SPDX-License-Identifier: Apache-2.0
// How far a draw lies from having given another token. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "select/params.h"
#include "select/record.h"

namespace truekeel::worker {

/// Answers another question about the row that was replayed.
using Reselect = std::function<select::Outcome(const select::Params& params, select::Draw draw)>;

/// The distance of a draw from the nearest interval boundary, as a share of the kept weight.
///
/// Where the draw gave `given`: how far it would have to move to give another token; nothing when it could
/// not. Else: how far it would have to move to give `given`, or, where the filters left that token out, to
/// reach the place of its interval in the order of ids.
///
/// At temperature 0 nothing is drawn. The two that compete (the chosen and the given token, or the chosen and
/// the second) are then taken alone, at temperature 1: the distance is 1/2 minus the loser's share.
///
/// Requires: `selected` is the outcome of params and draw. Cost: nothing where the draw gave `given`; else
/// some ten selections, at most 64; at temperature 0 one or two.
[[nodiscard]] std::optional<double> replay_distance(const select::Params& params, select::Draw draw,
                                                    const select::Choice& selected, std::uint32_t given,
                                                    std::uint32_t vocabulary, const Reselect& again);

}  // namespace truekeel::worker
