// SPDX-License-Identifier: Apache-2.0
// Wherever a stream is cut, its events are the same and its bytes all come back.
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "base/assert.h"
#include "protocol/sse.h"

namespace {

using truekeel::protocol::SseParser;

struct Run {
  std::vector<std::tuple<std::string, std::string, std::string>> events;
  std::string raw;
  bool failed = false;
};

/// Pushes pieces whose sizes `sizes` gives in turn; without sizes, all at once.
Run run(std::string_view text, std::string_view sizes) {
  SseParser parser(256);
  Run out;
  for (std::size_t at = 0, turn = 0; at <= text.size() && !out.failed; ++turn) {
    const std::size_t size =
        sizes.empty() ? text.size() + 1 : static_cast<unsigned char>(sizes[turn % sizes.size()]) % 16 + 1;
    parser.push(text.substr(at, size));
    at += size;
    while (true) {
      const auto block = parser.next();
      out.failed = !block;
      if (!block || !*block) break;
      out.raw += (*block)->raw;
      if ((*block)->is_event) out.events.emplace_back((*block)->event, (*block)->data, (*block)->id);
    }
  }
  out.raw += parser.rest();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t sizes = std::min<std::size_t>(input[0] & 7, size - 1);
  const std::string_view text = input.substr(1 + sizes);
  const Run whole = run(text, {});
  const Run cut = run(text, input.substr(1, std::max<std::size_t>(sizes, 1)));
  TK_ASSERT(whole.events == cut.events);
  TK_ASSERT(whole.failed == cut.failed);
  TK_ASSERT(whole.failed || (whole.raw == text && cut.raw == text));
  return 0;
}
