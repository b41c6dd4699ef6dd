// SPDX-License-Identifier: Apache-2.0
#include "protocol/chat_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "protocol/answer_walk.h"
#include "protocol/body_walk.h"

namespace truekeel::protocol {
namespace {

/// Some servers give arguments as the object itself.
simdjson::error_code read_arguments(od::value value, std::string& out) {
  const std::string_view token = token_of(value);
  if (is_string(token)) out = inside_quotes(token);
  if (token != "{") return simdjson::SUCCESS;
  std::string_view raw;
  if (const auto error = raw_container(value).get(raw)) return error;
  const std::string text = quoted(raw);
  out = inside_quotes(text);
  return simdjson::SUCCESS;
}

simdjson::error_code read_tool_call(od::value value, std::vector<ToolCallPiece>& calls) {
  ToolCallPiece call{.index = calls.size(), .id = {}, .name = {}, .arguments = {}};
  const auto error = each_field(value, [&](od::field& field) {
    if (name_is(field, "index")) {
      call.index = whole_number(token_of(field.value())).value_or(call.index);
    } else if (name_is(field, "id")) {
      call.id = plain_string(field);
    } else if (name_is(field, "function")) {
      return each_field(field.value(), [&](od::field& part) {
        if (name_is(part, "name")) call.name = plain_string(part);
        if (name_is(part, "arguments")) return read_arguments(part.value(), call.arguments);
        return simdjson::SUCCESS;
      });
    }
    return simdjson::SUCCESS;
  });
  if (!error) calls.push_back(std::move(call));
  return error;
}

/// Members of a choice; those that bear on it are kept only once its index is known to be 0.
simdjson::error_code read_choice(od::value value, ChatAnswer& answer) {
  std::string_view index = "0", text, finish_reason, stop;
  std::vector<ToolCallPiece> calls;
  const auto error = each_field(value, [&](od::field& field) {
    if (name_is(field, "delta") || name_is(field, "message")) {
      return each_field(field.value(), [&](od::field& part) {
        if (name_is(part, "content")) text = plain_string(part);
        if (name_is(part, "tool_calls")) {
          return each_element(part.value(), [&](od::value call) { return read_tool_call(call, calls); });
        }
        return simdjson::SUCCESS;
      });
    }
    if (name_is(field, "index")) {
      index = token_of(field.value());
    } else if (name_is(field, "finish_reason")) {
      finish_reason = plain_string(field);
    } else if (name_is(field, "stop_reason") || name_is(field, "matched_stop")) {
      const std::string_view token = token_of(field.value());
      if (is_string(token)) stop = token;
    }
    return simdjson::SUCCESS;
  });
  if (error) return error;
  ++answer.choices;
  if (index != "0") return simdjson::SUCCESS;
  answer.text += text;
  std::ranges::move(calls, std::back_inserter(answer.tool_calls));
  if (!finish_reason.empty()) answer.finish_reason = finish_reason;
  if (!stop.empty()) answer.stop_sequence = stop;
  return simdjson::SUCCESS;
}

simdjson::error_code read_member(od::field& field, ChatAnswer& answer) {
  if (name_is(field, "choices")) {
    return each_element(field.value(), [&](od::value choice) { return read_choice(choice, answer); });
  }
  if (name_is(field, "usage")) return read_usage(field.value(), answer.usage);
  answer.is_error |= tells_error(field);
  return simdjson::SUCCESS;
}

/// Text that goes into our JSON must not break it.
bool escapes_are_valid(const ChatAnswer& answer) {
  const std::string_view stop = answer.stop_sequence;
  const bool calls = std::ranges::all_of(answer.tool_calls, [](const ToolCallPiece& call) {
    return json_unescaped_size(call.id) && json_unescaped_size(call.name) &&
           json_unescaped_size(call.arguments);
  });
  return calls && json_unescaped_size(answer.text) &&
         (stop.empty() || json_unescaped_size(inside_quotes(stop)));
}

}  // namespace

Result<ChatAnswer> read_chat_answer(JsonParser& parser, std::string_view json) {
  ChatAnswer answer;
  od::document document;
  od::object root;
  auto error = parser.impl().open_copy(json).get(document);
  if (!error) error = document.get_object().get(root);
  if (!error) error = each_field(root, [&](od::field& field) { return read_member(field, answer); });
  if (!error) error = check_end(document);
  if (!error && !escapes_are_valid(answer)) error = simdjson::STRING_ERROR;
  if (error) return fail(ErrorCode::invalid_argument, "the answer cannot be read: " + describe(error));
  return answer;
}

std::string_view anthropic_stop_reason(std::string_view finish_reason, bool stop_sequence, bool called) {
  if (finish_reason == "length") return "max_tokens";
  if (finish_reason == "content_filter") return "refusal";
  if (called) return "tool_use";
  return stop_sequence ? "stop_sequence" : "end_turn";
}

std::string tool_use_head(const ToolCallPiece& call, const AnthropicIdentity& identity) {
  std::string id(call.id);
  if (id.empty()) id = fmt::format("toolu_{}_{}", identity.message_id, call.index);
  return fmt::format(R"({{"type":"tool_use","id":"{}","name":"{}")", id, call.name);
}

std::string anthropic_usage(const Usage& usage) {
  const std::uint64_t cached = std::min(usage.cached_tokens, usage.prompt_tokens);
  return fmt::format(R"({{"input_tokens":{},"cache_read_input_tokens":{},"output_tokens":{}}})",
                     usage.prompt_tokens - cached, cached, usage.completion_tokens);
}

ApiError read_answer_error(std::string_view json) {
  ApiError error = read_error(500, json);
  int status = 0;
  std::from_chars(error.code.data(), error.code.data() + error.code.size(), status);
  if (status >= 400 && status <= 599) error.status = status;
  return error;
}

}  // namespace truekeel::protocol
