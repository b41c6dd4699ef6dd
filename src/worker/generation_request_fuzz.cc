// SPDX-License-Identifier: Apache-2.0
// Any body: parsers return a request or an error with a message, and a request keeps to the limits.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "worker/request.h"

using namespace truekeel::worker;

namespace {

/// As src/select requires them.
void check_bias(const Sampling& sampling, std::uint32_t vocabulary) {
  for (std::size_t i = 0; i < sampling.bias.size(); ++i) {
    TK_ASSERT(sampling.bias[i].id < vocabulary);
    TK_ASSERT(i == 0 || sampling.bias[i - 1].id < sampling.bias[i].id);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const RequestLimits limits = {.model = "m", .vocabulary = 300, .choices_max = 4};
  const std::string body(reinterpret_cast<const char*>(data), size);
  for (const auto parse : {parse_chat, parse_completion}) {
    const auto request = parse(body, limits);
    if (!request) {
      TK_ASSERT(!request.error().message.empty() && request.error().status >= 400);
      continue;
    }
    TK_ASSERT(request->choices >= 1 && request->choices <= limits.choices_max);
    TK_ASSERT(request->top <= kTopLogprobsMax && (request->logprobs || request->top == 0));
    for (const auto& stop : request->stop) TK_ASSERT(!stop.empty());
    check_bias(request->sampling, limits.vocabulary);
  }
  if (const auto replay = parse_replay(body, limits)) {
    check_bias(replay->sampling, limits.vocabulary);
    TK_ASSERT(!replay->tokens.empty() && replay->tolerance >= 0 && replay->tolerance <= 1);
    for (const auto token : replay->tokens) TK_ASSERT(token >= 0 && token < 300);
    TK_ASSERT(replay->numerics.empty() || replay->numerics.size() == 8 || replay->numerics.size() == 16);
  } else {
    TK_ASSERT(!replay.error().message.empty() && replay.error().status >= 400);
  }
  (void)parse_score(body, limits);
  (void)parse_tokenize(body, limits);
  return 0;
}
