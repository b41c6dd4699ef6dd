// SPDX-License-Identifier: Apache-2.0
// Turns a chat stream in OpenAI's shape into Anthropic's events, one event at a time.
// Thread safety: one stream, one thread.
// Invariants: whatever comes in, what goes out is a prefix of message_start, then per block
// content_block_start, content_block_delta*, content_block_stop, then message_delta, message_stop; or such
// a prefix and one error event. Nothing follows message_stop or error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/anthropic.h"
#include "protocol/response_facts.h"

namespace truekeel::protocol {

struct ToolCallPiece;

class AnthropicStream {
 public:
  /// `input_tokens`: what message_start shows, an estimate or 0; message_delta has the server's own count.
  explicit AnthropicStream(AnthropicIdentity identity, std::uint64_t input_tokens = 0);

  /// Takes the data of one upstream event and appends what follows from it to `out`. Data that is no JSON, an
  /// error in mid-stream, and calls of tools whose pieces are mixed, become an error event.
  void on_data(std::string_view data, std::string& out);

  /// Takes a failure of the gateway's own: upstream gone, deadline passed.
  void on_error(const ApiError& error, std::string& out);

  /// The upstream has closed. Without [DONE] but after a finish_reason the message is whole (some servers
  /// leave it out); before that it was cut: an error event, never a clean end.
  void on_end(std::string& out);

  /// message_stop or error has gone out.
  [[nodiscard]] bool done() const { return state_ == State::done; }

 private:
  enum class State { before_start, between_blocks, in_text, in_tool, done };

  void start(std::string& out);
  void append_text(std::string_view escaped, std::string& out);
  void append_call(const ToolCallPiece& call, std::string& out);
  void open_block(State state, std::string_view content, std::string& out);
  void append_delta(std::string_view type, std::string_view member, std::string_view escaped,
                    std::string& out);
  void close_block(std::string& out);
  void finish(std::string& out);

  const AnthropicIdentity identity_;
  const std::uint64_t input_tokens_;
  State state_ = State::before_start;
  int block_ = 0;                      ///< index of the open block, or of the next
  std::optional<std::uint64_t> call_;  ///< index of the last call of a tool, as the server counts
  std::string finish_reason_;
  std::string stop_sequence_;  ///< a JSON string; empty: not stated
  std::optional<Usage> usage_;
  JsonParser parser_;
};

}  // namespace truekeel::protocol
