// SPDX-License-Identifier: Apache-2.0
#include "protocol/anthropic.h"

#include <optional>

#include "protocol/chat_answer.h"

namespace truekeel::protocol {

namespace {

/// The `input` of a call: its arguments, which must be an object. Of a call that the limit of output cut
/// nothing is left but its name, and the stop reason says why.
std::optional<std::string> input_of(JsonParser& parser, const ToolCallPiece& call, bool cut) {
  auto text = json_unescape(call.arguments);
  if (text && text->find_first_not_of(" \n\r\t") == std::string::npos) return "{}";
  if (text && index_object(parser, *text) && json_unescaped_size(*text)) return std::move(*text);
  return cut ? std::optional<std::string>("{}") : std::nullopt;
}

}  // namespace

ApiResult<std::string> anthropic_message(JsonParser& parser, std::string_view openai_answer,
                                         const AnthropicIdentity& identity) {
  const auto answer = read_chat_answer(parser, openai_answer);
  if (answer && answer->is_error) return std::unexpected(read_answer_error(openai_answer));
  if (!answer || answer->choices == 0) {
    return std::unexpected(ApiError{502, "The inference server's answer is not a chat completion.", {}, {}});
  }
  const std::string_view stop = answer->stop_sequence;
  std::string out = R"({"id":)";
  append_quoted(out, identity.message_id);
  out += R"(,"type":"message","role":"assistant","model":)";
  append_quoted(out, identity.model);
  out += R"(,"content":[)";
  if (!answer->text.empty()) out.append(R"({"type":"text","text":")").append(answer->text).append(R"("})");
  bool first = answer->text.empty();
  JsonParser inputs;  // the answer's views hold as long as its own parser rests
  for (const auto& call : answer->tool_calls) {
    const auto input = input_of(inputs, call, answer->finish_reason == "length");
    if (!input) {
      return std::unexpected(
          ApiError{502, "The model's call of a tool has arguments that are no JSON object.", {}, {}});
    }
    out.append(first ? "" : ",").append(tool_use_head(call, identity));
    out.append(R"(,"input":)").append(*input).append(1, '}');
    first = false;
  }
  const auto reason =
      anthropic_stop_reason(answer->finish_reason, !stop.empty(), !answer->tool_calls.empty());
  out.append(R"(],"stop_reason":")").append(reason);
  out.append(R"(","stop_sequence":)").append(stop.empty() ? "null" : stop);
  out.append(R"(,"usage":)").append(anthropic_usage(answer->usage.value_or(Usage{}))).append(1, '}');
  return out;
}

}  // namespace truekeel::protocol
