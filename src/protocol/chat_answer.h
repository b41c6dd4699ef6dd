// SPDX-License-Identifier: Apache-2.0
// What Anthropic's shape needs of a chat answer or chunk in OpenAI's. Internal to this layer.
// Strings stay as written, so that text goes from one JSON to the other without being decoded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/anthropic.h"
#include "protocol/response_facts.h"

namespace truekeel::protocol {

/// A call of a tool, or a piece of one in a stream.
struct ToolCallPiece {
  std::uint64_t index = 0;    ///< of the call within its answer
  std::string_view id, name;  ///< as written, without quotes; empty: not stated here
  std::string arguments;      ///< JSON in a string, its escapes as written, without quotes
};

/// Views hold until the parser is used again.
struct ChatAnswer {
  std::size_t choices = 0;
  std::string text;                       ///< of choice 0, escapes as written, without quotes
  std::string_view finish_reason;         ///< of choice 0; empty: not stated
  std::string_view stop_sequence;         ///< the JSON string, quotes included; empty: not stated
  std::vector<ToolCallPiece> tool_calls;  ///< of choice 0
  std::optional<Usage> usage;
  bool is_error = false;
};

/// Error::invalid_argument when `json` is no JSON object.
[[nodiscard]] Result<ChatAnswer> read_chat_answer(JsonParser& parser, std::string_view json);

/// `called`: the answer calls a tool, whatever its server names the reason: some say stop.
[[nodiscard]] std::string_view anthropic_stop_reason(std::string_view finish_reason, bool stop_sequence,
                                                     bool called);

/// `{"type":"tool_use",...}` without its end: `,"input":` and a closing brace are the caller's. An id that
/// the server does not give is made of the message's.
[[nodiscard]] std::string tool_use_head(const ToolCallPiece& call, const AnthropicIdentity& identity);

/// `{"input_tokens":...}`. Anthropic counts the cached part of the prompt apart.
[[nodiscard]] std::string anthropic_usage(const Usage& usage);

/// An error in place of an answer, in mid-stream or whole: its own code where it is an HTTP status.
[[nodiscard]] ApiError read_answer_error(std::string_view json);

}  // namespace truekeel::protocol
