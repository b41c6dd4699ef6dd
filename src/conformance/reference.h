// SPDX-License-Identifier: Apache-2.0
// The exact distribution that a row's declared semantics imply, in extended precision and by the most
// direct algorithm: sort, cut, sum. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "conformance/sampler.h"

namespace truekeel::conformance {

/// What a correct sampler draws from.
struct Reference {
  std::vector<double> probability = {};  ///< by token id; 0: cut or forbidden. Sums to 1.
  /// Tokens with equal logits of which the semantics do not say which stay (Ties::any). Their mass stands
  /// at the first `tied_kept` of them in `probability`; a check must treat them as one.
  std::vector<TokenId> tied = {};
  std::uint64_t tied_kept = 0;
};

/// The distribution of a row whose logits are finite or -inf, at least one finite, and whose parameters are
/// at no edge except a temperature of 0. Cost: one sort of the vocabulary per filter.
[[nodiscard]] Reference reference(const Row& row, const Semantics& semantics);

/// `value` as a sampler of this dtype would hold it: rounded to nearest, ties to even.
[[nodiscard]] float rounded(float value, Dtype dtype);

}  // namespace truekeel::conformance
