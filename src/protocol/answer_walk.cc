// SPDX-License-Identifier: Apache-2.0
#include "protocol/answer_walk.h"

#include "protocol/body_walk.h"

namespace truekeel::protocol {

simdjson::error_code read_usage(od::value value, std::optional<Usage>& out) {
  if (token_of(value) != "{") return simdjson::SUCCESS;
  Usage& usage = out.emplace();
  return each_field(value, [&](od::field& field) {
    const auto number = [&] { return whole_number(token_of(field.value())).value_or(0); };
    if (name_is(field, "prompt_tokens")) {
      usage.prompt_tokens = number();
    } else if (name_is(field, "completion_tokens")) {
      usage.completion_tokens = number();
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
