// SPDX-License-Identifier: Apache-2.0
// Whatever an upstream sends, an Anthropic client sees events in their order, and one end.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "protocol/anthropic_stream.h"
#include "protocol/fuzz_oracle.h"
#include "protocol/sse.h"

using namespace truekeel::protocol;

namespace {

/// The order of events as a state machine of its own.
class Reader {
 public:
  void take(std::string_view event) {
    TK_ASSERT(state_ != State::ended);
    if (event == "error" || event == "message_stop") {
      TK_ASSERT(event == "error" || state_ == State::delta);
      state_ = State::ended;
    } else if (event == "message_start") {
      step(State::before, State::open);
    } else if (event == "content_block_start") {
      step(State::open, State::block);
    } else if (event == "content_block_delta") {
      step(State::block, State::block);
    } else if (event == "content_block_stop") {
      step(State::block, State::open);
    } else {
      TK_ASSERT(event == "message_delta");
      step(State::open, State::delta);
    }
  }
  [[nodiscard]] bool ended() const { return state_ == State::ended; }

 private:
  enum class State { before, open, block, delta, ended };
  void step(State from, State to) {
    TK_ASSERT(state_ == from);
    state_ = to;
  }
  State state_ = State::before;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SseParser upstream;
  upstream.push(std::string_view(reinterpret_cast<const char*>(data), size));
  AnthropicStream stream({"msg_1", "m"});
  ResponseReader facts;
  JsonParser parser;
  std::string out;
  while (true) {
    const auto block = upstream.next();
    if (!block || !*block) break;
    if (!(*block)->is_event) continue;
    (void)facts.read((*block)->data);
    const auto whole = anthropic_message(parser, (*block)->data, {"msg_1", "m"});
    TK_ASSERT(!whole || JsonOracle::accepts(*whole));
    stream.on_data((*block)->data, out);
  }
  stream.on_end(out);

  Reader reader;
  SseParser client;
  client.push(out);
  while (true) {
    const auto block = client.next();
    TK_ASSERT(block);
    if (!*block) break;
    reader.take((*block)->event);
    TK_ASSERT(JsonOracle::accepts((*block)->data));
  }
  TK_ASSERT(reader.ended() && stream.done() && client.rest().empty());
  return 0;
}
