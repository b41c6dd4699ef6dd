// SPDX-License-Identifier: Apache-2.0
// Walks answers of inference servers: quick, and lenient about fields of unexpected kinds. Internal to this
// layer: included by sources only.
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "protocol/json_walk.h"
#include "protocol/response_facts.h"

namespace truekeel::protocol {

/// Between the quotes, as written: ids, names and reasons have no escapes. Empty for anything but a string.
[[nodiscard]] inline std::string_view plain_string(od::field& field) {
  const std::string_view token = token_of(field.value());
  return is_string(token) ? inside_quotes(token) : std::string_view();
}

/// Calls `each(field)` for the members; what `each` does not look at is skipped unchecked.
template <class Each>
simdjson::error_code each_field(od::object object, Each&& each) {
  for (auto result : object) {
    od::field field;
    if (const auto error = std::move(result).get(field)) return error;
    if (const simdjson::error_code error = each(field)) return error;
  }
  return simdjson::SUCCESS;
}

/// The same for a value, which has no members unless it is an object.
template <class Each>
simdjson::error_code each_field(od::value value, Each&& each) {
  if (token_of(value) != "{") return simdjson::SUCCESS;
  od::object object;
  if (const auto error = value.get_object().get(object)) return error;
  return each_field(object, std::forward<Each>(each));
}

/// Calls `each(value)` for the elements; a value of another kind has none.
template <class Each>
simdjson::error_code each_element(od::value value, Each&& each) {
  if (token_of(value) != "[") return simdjson::SUCCESS;
  od::array array;
  if (const auto error = value.get_array().get(array)) return error;
  for (auto result : array) {
    od::value element;
    if (const auto error = std::move(result).get(element)) return error;
    if (const simdjson::error_code error = each(element)) return error;
  }
  return simdjson::SUCCESS;
}

/// A whole object or array as written; consumes it. INCORRECT_TYPE for anything else.
[[nodiscard]] simdjson::simdjson_result<std::string_view> raw_container(od::value value);

/// Reads the value of `usage`; leaves `out` alone when it is null.
[[nodiscard]] simdjson::error_code read_usage(od::value value, std::optional<Usage>& out);

/// Whether a member of the root says that this is an error in place of an answer.
[[nodiscard]] bool tells_error(od::field& field);

}  // namespace truekeel::protocol
