// SPDX-License-Identifier: Apache-2.0
// Any body: parsers return a request or an error with a message, and a request keeps to the limits.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "worker/request.h"

using namespace truekeel::worker;

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
    for (const auto& bias : request->sampling.bias) TK_ASSERT(bias.id < limits.vocabulary);
  }
  if (const auto replay = parse_replay(body, limits)) {
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
