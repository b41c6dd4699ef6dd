// SPDX-License-Identifier: Apache-2.0
// An engine without a model: a hash of the context makes the logits. For simulations and fast tests.
// Thread safety: as engine.h says. Invariant: equal options and contexts give equal bits on every platform.
#pragma once

#include <memory>

#include "engine/engine.h"

namespace truekeel::engine {

struct SyntheticOptions {
  std::uint64_t seed = 0;          ///< another seed is another model
  std::uint32_t vocabulary = 300;  ///< 256 bytes, three control tokens, and words of random letters
  float spread = 10;               ///< logits lie in [0, spread): larger is more peaked
  float end_bias = 0;              ///< added to the logit of the end of an answer
  std::uint32_t ctx = 2048;
  std::uint32_t slots = 8;
  std::uint32_t ubatch = 64;
};

/// Requires: vocabulary >= 259.
[[nodiscard]] std::unique_ptr<Engine> make_synthetic_engine(const SyntheticOptions& options);

/// Its vocabulary alone: texts become one token a byte, control tokens stand by their names `<|start|>`,
/// `<|end|>` and `<|pad|>`.
[[nodiscard]] std::unique_ptr<Vocabulary> make_synthetic_vocabulary(std::uint64_t seed,
                                                                    std::uint32_t vocabulary);

}  // namespace truekeel::engine
