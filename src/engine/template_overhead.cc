// SPDX-License-Identifier: Apache-2.0
#include "engine/template_overhead.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>

namespace truekeel::engine {
namespace {

// Without outer white space, which a template may trim (the bounds allow for that); with the rest that
// templates are known to touch: inner blanks, line breaks, reasoning of earlier turns.
constexpr std::string_view kText = "Ab  1\n\n 'c'.";
constexpr std::string_view kReasoned = "<think>\nx\n</think>\n\nAb  1";

/// A conversation with one message for each letter: s, u, a for the three roles, t for an answer that
/// begins with its reasoning.
std::vector<Message> conversation(std::string_view roles) {
  std::vector<Message> messages;
  for (const char role : roles) {
    messages.push_back({role == 's'   ? "system"
                        : role == 'u' ? "user"
                                      : "assistant",
                        std::string(role == 't' ? kReasoned : kText)});
  }
  return messages;
}

/// An upper bound of the tokens that the template writes around the texts: its control tokens count once,
/// its text by the byte, since the tokens of a text may depend on what follows it.
std::optional<std::uint64_t> overhead(const Vocabulary& vocabulary, std::string_view roles) {
  const auto messages = conversation(roles);
  const auto rendered = vocabulary.render(messages);
  if (!rendered) return std::nullopt;
  std::vector<Token> tokens;
  vocabulary.tokenize(*rendered, kPrompt, tokens);
  std::uint64_t bound = 0;
  for (const Token token : tokens) bound += vocabulary.is_text(token) ? vocabulary.piece(token).size() : 1;
  std::uint64_t content = 0;
  for (const auto& message : messages) content += message.content.size();
  return bound > content ? bound - content : 0;
}

struct Overhead {
  std::uint64_t per_message = 0;
  std::uint64_t per_request = 0;
};

/// Nothing when the template refuses even one user message, or does more than add up.
std::optional<Overhead> measure_overhead(const Vocabulary& vocabulary) {
  const auto one = overhead(vocabulary, "u");
  const auto three = overhead(vocabulary, "uau");
  if (!one || !three || *three < *one) return std::nullopt;
  // What an answer and a question add together bounds each; probes of one role make it tighter.
  Overhead found{.per_message = *three - *one};
  if (const auto two = overhead(vocabulary, "uu"); two && *two > *one && *two - *one < *three - *one) {
    const auto user = *two - *one;
    found.per_message = std::max(user, *three - *one - user);
  }
  constexpr std::array<std::string_view, 5> kProbes = {"u", "uau", "su", "suau", "uu"};
  for (const auto roles : kProbes) {
    const auto all = overhead(vocabulary, roles);
    const auto counted = found.per_message * roles.size();
    if (all && *all > counted) found.per_request = std::max(found.per_request, *all - counted);
  }
  const auto longer = overhead(vocabulary, "suauauauauauauauau");
  if (longer && *longer > found.per_message * 18 + found.per_request) return std::nullopt;
  return found;
}

/// True when the template writes every text as it is.
bool keeps_texts(const Vocabulary& vocabulary) {
  for (const std::string_view roles : {"u", "suau", "utu"}) {
    const auto rendered = vocabulary.render(conversation(roles));
    if (!rendered) continue;
    std::size_t at = 0;
    for (const auto& message : conversation(roles)) {
      at = rendered->find(message.content, at);
      if (at == std::string::npos) return false;
      at += message.content.size();
    }
  }
  return true;
}

/// The longest piece; 0 when some byte of UTF-8 text has no token of its own, so that it may vanish.
std::uint32_t longest_piece(const Vocabulary& vocabulary) {
  std::size_t longest = 0;
  std::array<bool, 256> present{};
  for (Token token = 0; vocabulary.contains(token); ++token) {
    const auto piece = vocabulary.piece(token);
    longest = std::max(longest, piece.size());
    if (piece.size() == 1) present[static_cast<unsigned char>(piece[0])] = true;
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool in_utf8 = byte != 0xc0 && byte != 0xc1 && byte < 0xf5;
    if (in_utf8 && !present[byte]) return 0;
  }
  return static_cast<std::uint32_t>(longest);
}

}  // namespace

fleet::TokenizerTraits measure_traits(const Vocabulary& vocabulary) {
  fleet::TokenizerTraits traits;
  if (keeps_texts(vocabulary)) traits.longest_piece_bytes = longest_piece(vocabulary);
  if (const auto overhead = measure_overhead(vocabulary); overhead && vocabulary.byte_bound_holds()) {
    traits.byte_bound_holds = true;
    traits.overhead_per_message = static_cast<std::uint32_t>(overhead->per_message);
    traits.overhead_per_request = static_cast<std::uint32_t>(overhead->per_request);
  }
  return traits;
}

}  // namespace truekeel::engine
