// SPDX-License-Identifier: Apache-2.0
// What routing and audit need to know of a request in OpenAI's shape. The body itself travels on unchanged
// but for what json_splice.h sets. Thread safety: plain values; one JsonParser per thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/errors.h"
#include "protocol/json.h"

namespace truekeel::protocol {

enum class OpenAiCall { chat, completions };

/// Every name that some engine takes for the limit of output.
inline constexpr std::array<std::string_view, 3> kMaxOutputFields = {"max_completion_tokens", "max_tokens",
                                                                     "n_predict"};

/// Sampling parameters that the request states. A field that is absent, null or of a wrong kind is
/// nullopt: the server behind us is the judge of these.
struct SamplingFields {
  std::optional<double> temperature, top_p, min_p, presence_penalty, frequency_penalty;
  std::optional<std::int64_t> top_k, seed;
  bool logit_bias = false;  ///< a bias is stated and not empty
};

/// What is to be continued, in numbers that bound its tokens.
struct PromptShape {
  std::size_t messages = 0;          ///< chat: messages; completions: prompts
  std::size_t text_bytes = 0;        ///< UTF-8 bytes of all text, roles, names and unknown members too
  std::size_t text_bytes_max = 0;    ///< of the longest message or prompt
  std::size_t kept_bytes = 0;        ///< of contents, at least what is left when a template trims each;
                                     ///< completions: of the longest prompt
  std::size_t token_ids = 0;         ///< completions: token ids given in place of text, all prompts
  std::size_t token_ids_max = 0;     ///< ... in the longest prompt
  std::size_t media_parts = 0;       ///< image, audio, file and unknown parts
  std::size_t structured_parts = 0;  ///< tool calls and other members of messages that are no text
  std::size_t suffix_bytes = 0;      ///< completions: `suffix`

  /// The text alone determines the prompt, so that byte bounds and read_messages() are enough.
  [[nodiscard]] bool text_only() const { return media_parts == 0 && structured_parts == 0; }
};

struct OpenAiRequest {
  OpenAiCall call = OpenAiCall::chat;
  std::string model;
  bool stream = false;
  bool include_usage = false;  ///< stream_options.include_usage
  std::optional<std::uint64_t> max_tokens, max_completion_tokens, n_predict;
  std::uint64_t n = 1;
  std::string user, prompt_cache_key;         ///< empty: not stated
  bool logprobs = false;                      ///< asked for; completions: a number is given
  std::optional<std::uint64_t> top_logprobs;  ///< completions: the number itself
  bool tools = false;                         ///< tools or functions, not empty
  bool response_format = false;               ///< other than {"type":"text"}
  SamplingFields sampling;
  PromptShape prompt;

  /// Raw bytes of the body that stay equal while a conversation grows: the messages up to the first of the
  /// user, where each later turn repeats them (completions: the first 1,024 bytes of the prompt). Hash it
  /// for the affinity key. Two conversations that begin alike share a server, and its prefix cache.
  TextRange stable_prefix;

  std::vector<JsonMember> members;  ///< of the body, for splice()

  /// The stated limit of output. max_completion_tokens wins, as at OpenAI, where max_tokens is its
  /// deprecated name; n_predict is llama.cpp's own. Engines differ on which wins where several stand, so
  /// send the dialect's one alone: else a request could be routed by one limit and served by another.
  [[nodiscard]] std::optional<std::uint64_t> max_output() const {
    return max_completion_tokens ? max_completion_tokens : max_tokens ? max_tokens : n_predict;
  }
};

/// Reads a request in one pass; cost about that of checking the JSON.
///
/// Status 400, with `param` the field, when the body is not JSON or UTF-8 or too deep (param empty), when
/// model, messages or prompt are missing, when a field above is of a wrong kind, or when a field that is
/// read here stands there twice (a server may read the other one).
/// null counts as absent. Whole numbers may be written 16, 16.0 or 1.6e1; negative limits are errors.
[[nodiscard]] ApiResult<OpenAiRequest> read_openai_request(OpenAiCall call, JsonParser& parser,
                                                           const std::string& body);

struct ChatMessage {
  std::string role;
  std::string text;  ///< text parts joined by a line break, as vLLM and llama.cpp do

  bool operator==(const ChatMessage&) const = default;
};

/// The messages, decoded, for an exact count. Requires: the body was read as chat and is text_only().
/// Errors as above, when an escape is not valid.
[[nodiscard]] ApiResult<std::vector<ChatMessage>> read_messages(JsonParser& parser, const std::string& body);

/// The prompts of a completions body that are text, decoded, in order.
[[nodiscard]] ApiResult<std::vector<std::string>> read_prompts(JsonParser& parser, const std::string& body);

}  // namespace truekeel::protocol
