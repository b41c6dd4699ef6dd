// SPDX-License-Identifier: Apache-2.0
// Goodness of fit between draws and an exact distribution. Thread safety: as the session's.
#pragma once

#include <span>
#include <utility>

#include "conformance/check.h"
#include "conformance/reference.h"

namespace truekeel::conformance {

/// Whether the tallied draws follow `exact`: no token of weight 0, no more tied tokens than may stay, and a
/// divergence below the session's threshold. A refused draw does not fit.
[[nodiscard]] Seen fit(const Session& session, const Reference& exact, const Tally& tally);

/// Draws `drawn` as often as the session's options say and fits it to the distribution of `meant`.
[[nodiscard]] Result<Seen> draw_and_fit(Session& session, const Row& drawn, const Row& meant);

/// Whether the two tokens of each pair were drawn independently, each from `exact`.
[[nodiscard]] Seen fit_pairs(const Session& session, const Reference& exact,
                             std::span<const std::pair<TokenId, TokenId>> pairs);

}  // namespace truekeel::conformance
