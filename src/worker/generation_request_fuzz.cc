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
  (void)parse_score(body, limits);
  (void)parse_tokenize(body, limits);
  return 0;
}
