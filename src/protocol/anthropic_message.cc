// SPDX-License-Identifier: Apache-2.0
#include "protocol/anthropic.h"
#include "protocol/chat_answer.h"

namespace truekeel::protocol {

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
  out.append(R"(],"stop_reason":")").append(anthropic_stop_reason(answer->finish_reason, !stop.empty()));
  out.append(R"(","stop_sequence":)").append(stop.empty() ? "null" : stop);
  out.append(R"(,"usage":)").append(anthropic_usage(answer->usage.value_or(Usage{}))).append(1, '}');
  return out;
}

}  // namespace truekeel::protocol
