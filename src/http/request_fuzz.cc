// SPDX-License-Identifier: Apache-2.0
// Any bytes as a request: no crash, and the same result however they are cut; what is accepted is what it
// claims.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "http/parser.h"

namespace truekeel::http {
namespace {

constexpr ParserLimits kLimits{.head_bytes = 2048, .fields = 16, .body_bytes = 1024, .extension_bytes = 64};

std::size_t feed_in_steps(RequestParser& parser, std::string_view input, std::size_t step) {
  std::size_t taken = 0;
  while (taken < input.size()) {
    const std::size_t now = parser.feed(input.substr(taken, step));
    taken += now;
    if (now < std::min(step, input.size() - (taken - now))) break;
  }
  return taken;
}

void check(std::string_view input, std::size_t step) {
  RequestParser whole(kLimits), stepped(kLimits);
  const std::size_t taken = whole.feed(input);
  TK_ASSERT(feed_in_steps(stepped, input, step) == taken || whole.state() == MessageParser::State::failed);
  TK_ASSERT(stepped.state() == whole.state());
  if (whole.state() == MessageParser::State::failed) {
    TK_ASSERT(whole.rejection().status >= 400 && !whole.rejection().reason.empty());
    TK_ASSERT(stepped.rejection().status == whole.rejection().status);
    return;
  }
  TK_ASSERT(stepped.head().target == whole.head().target && stepped.body() == whole.body());
  if (whole.state() != MessageParser::State::done) return;
  const Headers& headers = whole.head().headers;
  TK_ASSERT(std::equal(headers.begin(), headers.end(), stepped.head().headers.begin(),
                       stepped.head().headers.end()));
  TK_ASSERT(whole.body().size() <= kLimits.body_bytes && headers.size() <= kLimits.fields);
  TK_ASSERT(headers.count("host") <= 1 && headers.count("content-length") <= 1);
  TK_ASSERT(headers.count("transfer-encoding") + headers.count("content-length") <= 1);
  // Whatever was accepted can be passed on as it is.
  std::string out;
  for (const Field field : headers) TK_ASSERT(append_field(out, field));
  TK_ASSERT(is_graphic(whole.head().target));
}

}  // namespace
}  // namespace truekeel::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  truekeel::http::check({reinterpret_cast<const char*>(data + 1), size - 1}, 1 + data[0] % 32);
  return 0;
}
