// SPDX-License-Identifier: Apache-2.0
// What a chat template adds around the texts of a conversation, found by applying it.
// Thread safety: pure functions.
#pragma once

#include "engine/vocabulary.h"
#include "fleet/token_bounds.h"

namespace truekeel::engine {

/// Bounds for a vocabulary and its template. A trait that the probes do not bear out is left unknown.
/// Cost: some ten applications of the template and one pass over the vocabulary.
[[nodiscard]] fleet::TokenizerTraits measure_traits(const Vocabulary& vocabulary);

}  // namespace truekeel::engine
