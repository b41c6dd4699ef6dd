// SPDX-License-Identifier: Apache-2.0
#include "protocol/anthropic_stream.h"

#include <fmt/format.h>

#include "protocol/chat_answer.h"
#include "protocol/sse.h"

namespace truekeel::protocol {

AnthropicStream::AnthropicStream(AnthropicIdentity identity, std::uint64_t input_tokens)
    : identity_(std::move(identity)), input_tokens_(input_tokens) {}

void AnthropicStream::on_data(std::string_view data, std::string& out) {
  if (done()) return;
  if (is_done(data)) return finish(out);
  const auto answer = read_chat_answer(parser_, data);
  if (!answer) {
    return on_error({502, "The inference server sent an event that cannot be read.", {}, {}}, out);
  }
  if (answer->is_error) return on_error(read_answer_error(data), out);
  start(out);
  if (!answer->text.empty()) append_text(answer->text, out);
  for (const auto& call : answer->tool_calls) append_call(call, out);
  if (done()) return;
  if (!answer->finish_reason.empty()) finish_reason_ = answer->finish_reason;
  if (!answer->stop_sequence.empty()) stop_sequence_ = answer->stop_sequence;
  if (answer->usage) usage_ = answer->usage;
}

void AnthropicStream::on_error(const ApiError& error, std::string& out) {
  if (done()) return;
  out += error_event(Provider::anthropic, error);
  state_ = State::done;
}

void AnthropicStream::on_end(std::string& out) {
  if (!finish_reason_.empty()) return finish(out);
  on_error({502, "The inference server closed the stream before the answer was complete.", {}, {}}, out);
}

void AnthropicStream::start(std::string& out) {
  if (state_ != State::before_start) return;
  std::string data = R"({"type":"message_start","message":{"id":)";
  append_quoted(data, identity_.message_id);
  data += R"(,"type":"message","role":"assistant","model":)";
  append_quoted(data, identity_.model);
  data += R"(,"content":[],"stop_reason":null,"stop_sequence":null,"usage":)";
  data += anthropic_usage({.prompt_tokens = input_tokens_, .completion_tokens = 0, .cached_tokens = 0});
  data += "}}";
  append_sse(out, "message_start", data);
  state_ = State::between_blocks;
}

void AnthropicStream::append_text(std::string_view escaped, std::string& out) {
  if (state_ == State::in_tool) close_block(out);
  if (state_ == State::between_blocks) open_block(State::in_text, R"({"type":"text","text":"")", out);
  append_delta("text_delta", "text", escaped, out);
}

/// Servers stream one call after the other. Blocks of a message cannot be mixed, so a piece of an earlier
/// call is an error rather than lost.
void AnthropicStream::append_call(const ToolCallPiece& call, std::string& out) {
  if (done()) return;
  if (!call_ || call.index > *call_) {
    if (call.name.empty()) {
      return on_error({502, "The inference server's call of a tool begins without a name.", {}, {}}, out);
    }
    close_block(out);
    open_block(State::in_tool, tool_use_head(call, identity_) + R"(,"input":{})", out);
    call_ = call.index;
  } else if ((state_ != State::in_tool || call.index < *call_) && !call.arguments.empty()) {
    return on_error({502, "The inference server mixes the pieces of several tool calls.", {}, {}}, out);
  }
  if (!call.arguments.empty()) append_delta("input_json_delta", "partial_json", call.arguments, out);
}

void AnthropicStream::open_block(State state, std::string_view content, std::string& out) {
  append_sse(
      out, "content_block_start",
      fmt::format(R"({{"type":"content_block_start","index":{},"content_block":{}}}}})", block_, content));
  state_ = state;
}

void AnthropicStream::append_delta(std::string_view type, std::string_view member, std::string_view escaped,
                                   std::string& out) {
  append_sse(out, "content_block_delta",
             fmt::format(R"({{"type":"content_block_delta","index":{},"delta":{{"type":"{}","{}":"{}"}}}})",
                         block_, type, member, escaped));
}

void AnthropicStream::close_block(std::string& out) {
  if (state_ != State::in_text && state_ != State::in_tool) return;
  append_sse(out, "content_block_stop", fmt::format(R"({{"type":"content_block_stop","index":{}}})", block_));
  ++block_;
  state_ = State::between_blocks;
}

void AnthropicStream::finish(std::string& out) {
  if (done()) return;
  start(out);
  close_block(out);
  const bool stopped = !stop_sequence_.empty();
  append_sse(
      out, "message_delta",
      fmt::format(
          R"({{"type":"message_delta","delta":{{"stop_reason":"{}","stop_sequence":{}}},"usage":{}}})",
          anthropic_stop_reason(finish_reason_, stopped, call_.has_value()),
          stopped ? stop_sequence_ : "null", anthropic_usage(usage_.value_or(Usage{input_tokens_, 0, 0}))));
  append_sse(out, "message_stop", R"({"type":"message_stop"})");
  state_ = State::done;
}

}  // namespace truekeel::protocol
