// SPDX-License-Identifier: Apache-2.0
// Any bytes as an answer, then the end of the stream: no crash, and the same result however they are cut.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "http/parser.h"

namespace truekeel::http {
namespace {

constexpr ParserLimits kLimits{.head_bytes = 2048, .fields = 16, .body_bytes = 1024, .extension_bytes = 64};

struct Outcome {
  MessageParser::State state;
  int status;
  std::string body;

  bool operator==(const Outcome&) const = default;
};

Outcome read(std::string input, std::size_t step, bool head_request) {
  ResponseParser parser(kLimits);
  parser.reset(head_request);
  Outcome outcome{};
  for (std::size_t at = 0; at < input.size(); at += step) {
    const std::size_t size = std::min(step, input.size() - at);
    const ResponseParser::Fed fed = parser.feed({input.data() + at, size});
    outcome.body += fed.body;
    if (fed.taken < size) break;
  }
  parser.end();
  TK_ASSERT(parser.state() == MessageParser::State::done || parser.state() == MessageParser::State::failed);
  outcome.state = parser.state();
  // A refusal says at which byte, not how much of the body before it was passed on.
  if (outcome.state == MessageParser::State::failed) return {outcome.state, parser.rejection().status, {}};
  TK_ASSERT(parser.head().status >= 200 && outcome.body.size() <= kLimits.body_bytes);
  TK_ASSERT(!head_request || outcome.body.empty());
  outcome.status = parser.head().status;
  return outcome;
}

}  // namespace
}  // namespace truekeel::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using truekeel::http::read;
  if (size == 0) return 0;
  const std::string input(reinterpret_cast<const char*>(data + 1), size - 1);
  const bool head_request = data[0] >= 0xF0;
  TK_ASSERT(read(input, input.size() + 1, head_request) == read(input, 1 + data[0] % 32, head_request));
  return 0;
}
