// SPDX-License-Identifier: Apache-2.0
// Certain bounds of a prompt's length in tokens from its length in bytes. Thread safety: pure functions.
// Invariant: the true count lies inside, given that the traits hold; "unknown" is never 0 but no bound.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

namespace truekeel::fleet {

/// A closed range that holds the true count.
struct TokenRange {
  static constexpr std::uint64_t kUnbounded = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t lower = 0;
  std::uint64_t upper = kUnbounded;

  static constexpr TokenRange exactly(std::uint64_t count) { return {count, count}; }
  [[nodiscard]] constexpr bool exact() const { return lower == upper; }
  [[nodiscard]] constexpr bool bounded() const { return upper != kUnbounded; }

  bool operator==(const TokenRange&) const = default;
};

/// What a tokenizer found: `tokens` of them, or, stopped, at least so many.
struct TokenCount {
  std::uint64_t tokens = 0;
  bool stopped = false;

  bool operator==(const TokenCount&) const = default;
};

/// What must be known of a tokenizer and its chat template. The default knows nothing.
struct TokenizerTraits {
  /// Every token covers at least one byte of the text: true for byte-level and byte-fallback vocabularies
  /// without a normaliser that expands (NFKC and the like).
  bool byte_bound_holds = false;
  /// The longest piece, special tokens included, in bytes of text; 0 when unknown, or when the template
  /// drops text (earlier reasoning, say), so that no lower bound holds.
  std::uint32_t longest_piece_bytes = 0;
  /// Tokens that the template adds, measured at start as a maximum over the roles; a prefix that the
  /// tokenizer puts before a text belongs to these.
  std::uint32_t overhead_per_message = 0;
  std::uint32_t overhead_per_request = 0;  ///< a default system prompt and the cue to answer included
};

/// What a request holds, as far as its length matters. No text is kept.
struct PromptShape {
  std::uint64_t text_bytes = 0;
  std::uint64_t kept_bytes = 0;  ///< without the outer white space of each part, which templates may trim
  std::uint64_t messages = 0;
  bool opaque = false;  ///< tools, images or audio: their tokens cannot be bounded by bytes
};

/// Cost: a few additions.
[[nodiscard]] TokenRange bound_tokens(const PromptShape& shape, const TokenizerTraits& traits);

}  // namespace truekeel::fleet
