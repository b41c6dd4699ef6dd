// SPDX-License-Identifier: Apache-2.0
// Text to tokens and back, and the model's own chat template.
// Thread safety: const methods, from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace truekeel::engine {

using Token = std::int32_t;

/// One message of a conversation, text only.
struct Message {
  std::string role;
  std::string content;

  bool operator==(const Message&) const = default;
};

struct TokenizeOptions {
  bool add_special = false;    ///< add what the model wants around a text, such as its BOS
  bool parse_special = false;  ///< read names of control tokens in the text as those tokens
};

/// How a whole prompt becomes tokens, rendered by the template or given as text.
inline constexpr TokenizeOptions kPrompt = {.add_special = true, .parse_special = true};

class Vocabulary {
 public:
  virtual ~Vocabulary() = default;

  [[nodiscard]] virtual std::size_t size() const = 0;

  /// The bytes of a token; a control token's are its name. They may begin or end inside a UTF-8 character.
  [[nodiscard]] virtual std::string_view piece(Token token) const = 0;

  /// False for control tokens, whose bytes are no part of an answer's text.
  [[nodiscard]] virtual bool is_text(Token token) const = 0;

  /// True for the tokens with which the model ends its answer.
  [[nodiscard]] virtual bool is_end(Token token) const = 0;

  /// Appends the tokens of a text.
  virtual void tokenize(std::string_view text, TokenizeOptions options, std::vector<Token>& out) const = 0;

  /// The conversation as the model's template writes it, ready for the assistant's answer.
  /// Error::invalid_argument when the template refuses it (an unknown role, a wrong order).
  [[nodiscard]] virtual Result<std::string> render(std::span<const Message> messages) const = 0;

  /// True when every token stands for at least one byte of the text: byte-level tokenizers and those with
  /// byte fallback, without a normaliser that may lengthen a text.
  [[nodiscard]] virtual bool byte_bound_holds() const = 0;

  /// True when the tokens of a text are those of its parts, cut between an ASCII letter and a single space
  /// that another ASCII letter follows.
  [[nodiscard]] virtual bool words_are_independent() const = 0;

  [[nodiscard]] bool contains(Token token) const {
    return token >= 0 && static_cast<std::size_t>(token) < size();
  }
};

/// The text of an answer, control tokens left out.
[[nodiscard]] inline std::string detokenize(const Vocabulary& vocabulary, std::span<const Token> tokens) {
  std::string text;
  for (const Token token : tokens) {
    if (vocabulary.is_text(token)) text += vocabulary.piece(token);
  }
  return text;
}

}  // namespace truekeel::engine
