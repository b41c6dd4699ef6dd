// SPDX-License-Identifier: Apache-2.0
#include "evidence/reported_row.h"

#include <algorithm>
#include <cstdint>
#include <functional>

namespace truekeel::evidence {

TokenRecord RowReader::read(std::span<const float> listed, std::optional<std::size_t> drawn, float own,
                            ListRule rule) {
  constexpr float kCut = -1000;
  sorted_.assign(listed.begin(), listed.end());
  std::erase_if(sorted_, [](float logprob) { return !(logprob > kCut); });
  std::ranges::sort(sorted_, std::greater<>());
  TokenRecord record;
  record.logprob = own;
  // Where the drawn token may have taken the last place, only the K - 1 best are listed whatever was drawn.
  if (rule == ListRule::drawn_replaces && !sorted_.empty()) {
    const bool at_the_end = drawn && own <= sorted_.back();
    sorted_.pop_back();
    if (at_the_end) drawn.reset();
  }
  if (drawn) {
    // Tokens that tie have the same weight, so any of their places will do.
    const auto place = std::ranges::lower_bound(sorted_, own, std::greater<>());
    if (place != sorted_.end() && *place == own)
      record.rank = static_cast<std::uint32_t>(place - sorted_.begin());
  }
  record.top = sorted_;
  return record;
}

}  // namespace truekeel::evidence
