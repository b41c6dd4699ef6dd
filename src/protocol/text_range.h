// SPDX-License-Identifier: Apache-2.0
// Part of a text by position. Thread safety: plain value.
#pragma once

#include <cstddef>
#include <string_view>

namespace truekeel::protocol {

/// Positions survive a move of the string that holds the text, as views do not.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;

  [[nodiscard]] std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
  bool operator==(const TextRange&) const = default;
};

}  // namespace truekeel::protocol
