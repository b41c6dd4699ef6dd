// SPDX-License-Identifier: Apache-2.0
// How many tokens a prompt has, without the model's weights; for routing.
// Thread safety: const methods, from any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/vocabulary.h"
#include "fleet/token_bounds.h"

namespace truekeel::engine {

inline constexpr std::uint64_t kCountAll = std::numeric_limits<std::uint64_t>::max();

class Tokenizer {
 public:
  /// Reads the vocabulary and the template of a GGUF file, no weights: about 0.1 s and 20 MB.
  /// Errors as of load_llama_model() and LlamaVocabulary::make().
  [[nodiscard]] static Result<std::unique_ptr<Tokenizer>> load(const std::string& gguf_path);

  /// Counts with a vocabulary that is borrowed for life; for engines at hand and for simulations.
  explicit Tokenizer(const Vocabulary& vocabulary);
  ~Tokenizer();

  /// The tokens of a prompt that is given as text, BOS included where the model wants one. Stops soon after
  /// the count has passed `stop_above`. Cost: about 3 us for 100 bytes.
  [[nodiscard]] fleet::TokenCount count(std::string_view text, std::uint64_t stop_above = kCountAll) const;

  /// Appends the tokens of a text, in parts as above. False when it stopped: then not all are there.
  [[nodiscard]] bool tokenize(std::string_view text, TokenizeOptions options, std::uint64_t stop_above,
                              std::vector<Token>& out) const;

  /// The tokens of a conversation as the model's template writes it.
  /// Error::invalid_argument when the template refuses it.
  [[nodiscard]] Result<fleet::TokenCount> count_chat(std::span<const Message> messages,
                                                     std::uint64_t stop_above = kCountAll) const;

  /// What bounds the count from the bytes alone. The overheads are measured by applying the template.
  [[nodiscard]] const fleet::TokenizerTraits& traits() const { return traits_; }

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  struct Loaded;
  explicit Tokenizer(std::unique_ptr<Loaded> loaded);

  std::unique_ptr<Loaded> loaded_;  // what load() read; empty when the vocabulary is borrowed
  const Vocabulary& vocabulary_;
  const bool words_are_independent_;
  fleet::TokenizerTraits traits_;
};

/// Where a text may be cut, at `from` or later, so that its tokens are those of both parts; its size when
/// there is no such place. Requires: Vocabulary::words_are_independent().
[[nodiscard]] std::size_t safe_cut(std::string_view text, std::size_t from);

}  // namespace truekeel::engine
