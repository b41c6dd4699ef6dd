// SPDX-License-Identifier: Apache-2.0
// Drives two servers through the same contexts until the difference test is sure or the budget is spent.
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "http/net.h"
#include "verify/budget.h"
#include "verify/capabilities.h"
#include "verify/difference.h"
#include "verify/server.h"

namespace truekeel::verify {

/// A server and what it can give.
struct Side {
  Server& server;
  const Capabilities& can;
};

/// How both are brought to the same positions.
enum class Reading : std::uint8_t {
  score,            ///< given text, by /v1/score of our worker
  prompt_logprobs,  ///< given text, by vLLM's prompt_logprobs
  one_token,        ///< the first token of an answer to a prompt of ours, one call a position
};
[[nodiscard]] std::string_view name(Reading reading);

/// The best that both can.
[[nodiscard]] Reading reading_for(const Capabilities& target, const Capabilities& reference);

struct ComparisonSettings {
  DifferenceSettings test;
  std::uint64_t seed = 1;
  unsigned width = 2;  ///< calls at once, over both servers
};

struct ComparisonCounts {
  std::uint64_t dropped = 0;  ///< contexts without comparable rows on both servers
  std::string trouble;        ///< why the last of them was dropped, or why it was given up
  bool given_up = false;      ///< too many in a row were
};

/// `progress` is called after every context. Requires: both sides have logprobs.
[[nodiscard]] http::Task<ComparisonCounts> compare(http::Net& net, Side target, Side reference,
                                                   const ComparisonSettings& settings, Budget& budget,
                                                   DifferenceTest& test,
                                                   const std::function<void()>& progress);

}  // namespace truekeel::verify
