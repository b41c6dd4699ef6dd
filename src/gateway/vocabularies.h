// SPDX-License-Identifier: Apache-2.0
// How the tokens of each model are counted here. Thread safety: immutable values.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/tokenizer.h"
#include "fleet/config.h"
#include "fleet/token_bounds.h"

namespace truekeel::gateway {

struct Vocabulary {
  std::string file;                                    ///< empty: none
  std::shared_ptr<const engine::Tokenizer> tokenizer;  ///< null: tokens are not counted here
  fleet::TokenizerTraits traits;  ///< what bounds a prompt; nothing where nothing is known
};

/// By the index of the model in Config::models.
using Vocabularies = std::vector<Vocabulary>;

/// Reads the files of models whose tokenizer is `gguf`, but for those that `known` has.
/// Error::not_found or Error::invalid_argument, naming the model, when one cannot be read.
[[nodiscard]] Result<Vocabularies> load_vocabularies(const fleet::Config& config,
                                                     const Vocabularies& known = {});

/// How many tokens each model has; 0 where that is not known.
[[nodiscard]] std::vector<std::uint32_t> sizes_of(const Vocabularies& vocabularies);

}  // namespace truekeel::gateway
