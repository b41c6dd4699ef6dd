// SPDX-License-Identifier: Apache-2.0
// Anthropic's Messages API over servers that speak OpenAI's: requests, answers and errors; streams are in
// anthropic_stream.h. Thread safety: pure functions; one JsonParser per thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/errors.h"
#include "protocol/json.h"

namespace truekeel::protocol {

/// A Messages request, and the chat/completions body that asks for the same. The body is ours, so equal
/// conversations give equal bytes: read_openai_request() says the rest of it.
struct AnthropicRequest {
  std::string model;
  bool stream = false;
  std::string openai_body;  ///< streamed: with stream_options.include_usage, which message_delta needs
};

/// Translates POST /v1/messages: content as string or blocks (text, images, documents, tool_use,
/// tool_result), system, tools of one's own, tool_choice, stop_sequences, max_tokens (required), temperature,
/// top_p, top_k, metadata.user_id (as `user`), stream.
///
/// Status 400, with `param` the field, when a field is missing or of a wrong kind, or when it would change
/// the answer and has no translation: tools that run at the provider, files stored there, citations, thinking
/// that is asked for. What only tunes or bills (cache_control, service_tier, unknown metadata) is dropped.
[[nodiscard]] ApiResult<AnthropicRequest> read_anthropic_request(JsonParser& parser, const std::string& body);

/// Translates POST /v1/messages/count_tokens: as above without max_tokens.
[[nodiscard]] ApiResult<AnthropicRequest> read_count_tokens(JsonParser& parser, const std::string& body);

[[nodiscard]] std::string count_tokens_body(std::uint64_t input_tokens);

/// How the answer presents itself: the id and model name that the client sees.
struct AnthropicIdentity {
  std::string message_id;  ///< "msg_" and the request id
  std::string model;       ///< as the client asked for it
};

/// Translates a whole chat answer, its first choice: text, then calls of tools. finish_reason length becomes
/// max_tokens, an answer that calls tools ends with tool_use, content_filter refusal, all else end_turn, or
/// stop_sequence where the server says which one
/// (`stop_reason` of vLLM and truekeel, `matched_stop` of SGLang, when a string).
/// Status 502 when it is not an answer.
[[nodiscard]] ApiResult<std::string> anthropic_message(JsonParser& parser, std::string_view openai_answer,
                                                       const AnthropicIdentity& identity);

}  // namespace truekeel::protocol
