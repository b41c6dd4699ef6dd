// SPDX-License-Identifier: Apache-2.0
// What a run may spend, and whether it was told to stop. Thread safety: one thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace truekeel::verify {

struct Budget {
  Instant deadline = Instant::max();
  std::uint64_t tokens_left = 0;
  std::uint64_t tokens_spent = 0;
  bool stopped = false;

  void spend(std::uint64_t tokens) {
    tokens_spent += tokens;
    tokens_left -= std::min(tokens, tokens_left);
  }
  [[nodiscard]] bool is_over(Instant now) const { return stopped || tokens_left == 0 || now >= deadline; }
};

}  // namespace truekeel::verify
