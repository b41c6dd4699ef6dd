// SPDX-License-Identifier: Apache-2.0
#include "fleet/token_bounds.h"

#include <algorithm>

namespace truekeel::fleet {
namespace {

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  return a > TokenRange::kUnbounded - b ? TokenRange::kUnbounded : a + b;
}

std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
  return b != 0 && a > TokenRange::kUnbounded / b ? TokenRange::kUnbounded : a * b;
}

}  // namespace

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
