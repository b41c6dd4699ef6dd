// SPDX-License-Identifier: Apache-2.0
// The rows that the checks start from. Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "conformance/sampler.h"

namespace truekeel::conformance {

struct Case {
  std::string name = {};
  std::string why = {};  ///< the fault it is there for, in a sentence
  Row row = {};
  bool exact = false;  ///< a cut falls on a boundary that every float format represents: not to be changed
};

/// Rows whose distribution the semantics settle beyond rounding: every cut falls clearly between tokens,
/// or exactly on a tie. Only steps that the chain offers are used.
[[nodiscard]] std::vector<Case> distribution_cases(const Semantics& semantics);

/// Seeded logits that fall about as a language model's do, in quarters, representable in every dtype
/// even after a shift by 16 or 32.
[[nodiscard]] std::vector<float> typical_logits(std::size_t vocabulary, std::uint64_t seed);

/// Whether rounding decides none of the row's cuts: some token is allowed, and the support is the same a
/// little off every parameter.
[[nodiscard]] bool is_clear(const Row& row, const Semantics& semantics);

}  // namespace truekeel::conformance
