// SPDX-License-Identifier: Apache-2.0
#include "protocol/answer_walk.h"

#include "protocol/body_walk.h"

namespace truekeel::protocol {

simdjson::simdjson_result<std::string_view> raw_container(od::value value) {
  std::string_view text;
  od::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  if (type == od::json_type::object) {
    od::object object;
    if (const auto error = value.get_object().get(object)) return error;
    if (const auto error = object.raw_json().get(text)) return error;
  } else {
    od::array array;
    if (const auto error = value.get_array().get(array)) return error;
    if (const auto error = array.raw_json().get(text)) return error;
  }
  // The text reaches to the next token.
  const auto end = text.find_last_of("}]");
  if (end == std::string_view::npos) return simdjson::TAPE_ERROR;
  return text.substr(0, end + 1);
}

simdjson::error_code read_usage(od::value value, std::optional<Usage>& out) {
  if (token_of(value) != "{") return simdjson::SUCCESS;
  Usage& usage = out.emplace();
  return each_field(value, [&](od::field& field) {
    const auto number = [&] { return whole_number(token_of(field.value())).value_or(0); };
    if (name_is(field, "prompt_tokens")) {
      usage.prompt_tokens = number();
    } else if (name_is(field, "completion_tokens")) {
      usage.completion_tokens = number();
    } else if (name_is(field, "total_tokens")) {
      usage.total_tokens = whole_number(token_of(field.value()));
    } else if (name_is(field, "prompt_tokens_details")) {
      return each_field(field.value(), [&](od::field& detail) {
        if (name_is(detail, "cached_tokens")) {
          usage.cached_tokens = whole_number(token_of(detail.value())).value_or(0);
        }
        return simdjson::SUCCESS;
      });
    }
    return simdjson::SUCCESS;
  });
}

bool tells_error(od::field& field) {
  if (name_is(field, "error")) return !is_null(token_of(field.value()));
  return name_is(field, "object") && plain_string(field) == "error";  // vLLM's flat shape
}

}  // namespace truekeel::protocol
