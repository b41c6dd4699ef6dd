// SPDX-License-Identifier: Apache-2.0
#include "fleet/token_bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/philox.h"

namespace truekeel::fleet {
namespace {

/// A tokenizer with every byte and some longer pieces, which takes any piece that matches, at random: no
/// real one does worse than the extremes of that.
struct ToyTokenizer {
  std::set<std::string> pieces;
  std::size_t longest = 1;

  explicit ToyTokenizer(PhiloxStream& random) {
    for (std::uint64_t n = random.below(12); n > 0; --n) {
      std::string piece;
      for (std::uint64_t size = 2 + random.below(6); size > 0; --size) piece += letter(random);
      longest = std::max(longest, piece.size());
      pieces.insert(piece);
    }
  }

  static char letter(PhiloxStream& random) { return "ab \n"[random.below(4)]; }

  std::uint64_t count(std::string_view text, PhiloxStream& random) const {
    std::uint64_t tokens = 0;
    while (!text.empty()) {
      std::size_t size = 1;
      for (const auto& piece : pieces) {
        if (text.starts_with(piece) && random.below(4) != 0) size = std::max(size, piece.size());
      }
      text.remove_prefix(size);
      ++tokens;
    }
    return tokens;
  }
};

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \n") - first + 1);
}

TEST(TokenBounds, HoldTheTrueCountWhateverTheTemplateTrims) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    PhiloxStream random(seed);
    const ToyTokenizer tokenizer(random);
    const TokenizerTraits traits{.byte_bound_holds = true,
                                 .longest_piece_bytes = static_cast<std::uint32_t>(tokenizer.longest),
                                 .overhead_per_message = static_cast<std::uint32_t>(random.below(9)),
                                 .overhead_per_request = static_cast<std::uint32_t>(random.below(30))};
    const bool trims = random.below(2) == 0;
    PromptShape shape;
    std::uint64_t count = traits.overhead_per_request;
    for (std::uint64_t messages = random.below(5); messages > 0; --messages) {
      std::string text;
      for (std::uint64_t size = random.below(60); size > 0; --size) text += ToyTokenizer::letter(random);
      ++shape.messages;
      shape.text_bytes += text.size();
      shape.kept_bytes += trimmed(text).size();
      count += tokenizer.count(trims ? trimmed(text) : text, random) +
               random.below(traits.overhead_per_message + 1);
    }
    const auto range = bound_tokens(shape, traits);
    ASSERT_LE(range.lower, count) << "seed " << seed;
    ASSERT_GE(range.upper, count) << "seed " << seed;
  }
}

TEST(TokenBounds, AreTight) {
  const PromptShape shape{.text_bytes = 10, .kept_bytes = 10, .messages = 1};
  const TokenizerTraits traits{true, 4, 3, 5};
  EXPECT_EQ(bound_tokens(shape, traits), (TokenRange{3, 10 + 3 + 5}));
}

TEST(TokenBounds, UnknownIsNoBoundAndNeverZero) {
  PromptShape shape{.text_bytes = 5, .kept_bytes = 5};
  EXPECT_EQ(bound_tokens(shape, {}), (TokenRange{0, TokenRange::kUnbounded}));
  shape.opaque = true;
  EXPECT_FALSE(bound_tokens(shape, {true, 5, 1, 1}).bounded());
  EXPECT_EQ(bound_tokens(shape, {true, 5, 1, 1}).lower, 1u) << "the text is still there";
}

TEST(TokenBounds, HugeNumbersSaturate) {
  PromptShape shape;
  shape.text_bytes = TokenRange::kUnbounded - 1;
  shape.messages = 1ull << 40;
  EXPECT_FALSE(bound_tokens(shape, {true, 1, ~0u, ~0u}).bounded());
  shape.messages = 0;
  EXPECT_EQ(bound_tokens(shape, {true, 1, 0, 0}).upper, TokenRange::kUnbounded - 1);
}

}  // namespace
}  // namespace truekeel::fleet
