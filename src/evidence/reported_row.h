// SPDX-License-Identifier: Apache-2.0
// From the logprobs that an API lists for one token to a TokenRecord whose length does not depend on the
// token that was drawn. Thread safety: a reader serves one thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "evidence/draw_null.h"

namespace truekeel::evidence {

enum class ListRule {
  top_apart,       ///< always the top K; the drawn token's own logprob stands apart
  drawn_replaces,  ///< K entries, of which the drawn token takes the last place when it is not among the top
                   ///< K
};

class RowReader {
 public:
  /// listed: logprobs in any order, as they came; `drawn`: the index of the drawn token among them, if it is
  /// there; `own`: its logprob. Entries that mark a token as cut (-1000 and below) are dropped.
  /// The record's `top` holds until the next call; it is empty where nothing can be used.
  [[nodiscard]] TokenRecord read(std::span<const float> listed, std::optional<std::size_t> drawn, float own,
                                 ListRule rule);

 private:
  std::vector<float> sorted_;
};

}  // namespace truekeel::evidence
