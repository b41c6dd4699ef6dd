// SPDX-License-Identifier: Apache-2.0
#include "fleet/token_bounds.h"

#include <algorithm>

namespace truekeel::fleet {
namespace {

/// White space beyond ASCII that Python's str.strip(), and so Jinja's trim, removes.
constexpr std::string_view kWideSpaces[] = {
    "\u0085", "\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200A", "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"};

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f); }

std::size_t leading_space(std::string_view text) {
  if (!text.empty() && is_space(text.front())) return 1;
  for (const auto space : kWideSpaces) {
    if (text.starts_with(space)) return space.size();
  }
  return 0;
}

std::size_t trailing_space(std::string_view text) {
  if (!text.empty() && is_space(text.back())) return 1;
  for (const auto space : kWideSpaces) {
    if (text.ends_with(space)) return space.size();
  }
  return 0;
}

std::size_t trimmed_size(std::string_view text) {
  while (const auto size = leading_space(text)) text.remove_prefix(size);
  while (const auto size = trailing_space(text)) text.remove_suffix(size);
  return text.size();
}

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  return a > TokenRange::kUnbounded - b ? TokenRange::kUnbounded : a + b;
}

std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
  return b != 0 && a > TokenRange::kUnbounded / b ? TokenRange::kUnbounded : a * b;
}

}  // namespace

void PromptShape::add_text(std::string_view text) {
  text_bytes += text.size();
  kept_bytes += trimmed_size(text);
}

TokenRange bound_tokens(const PromptShape& shape, const TokenizerTraits& traits) {
  TokenRange range;
  if (traits.longest_piece_bytes > 0) {
    range.lower = shape.kept_bytes / traits.longest_piece_bytes +
                  (shape.kept_bytes % traits.longest_piece_bytes != 0 ? 1 : 0);
  }
  if (traits.byte_bound_holds && !shape.opaque) {
    const std::uint64_t overhead =
        add(multiply(shape.messages, traits.overhead_per_message), traits.overhead_per_request);
    range.upper = std::max(range.lower, add(shape.text_bytes, overhead));
  }
  return range;
}

}  // namespace truekeel::fleet
