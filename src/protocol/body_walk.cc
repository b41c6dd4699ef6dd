// SPDX-License-Identifier: Apache-2.0
#include "protocol/body_walk.h"

#include <cmath>

namespace truekeel::protocol {

ApiError json_fault(simdjson::error_code error) {
  return {
      .status = 400, .message = "The body cannot be read: " + describe(error) + ".", .param = {}, .code = {}};
}

void BodyWalk::fail_field(std::string param, std::string_view must) {
  if (!fault) fault = field_error(std::move(param), must);
}

void BodyWalk::fail_json(simdjson::error_code error) {
  if (!fault) fault = json_fault(error);
}

TextRange BodyWalk::range(std::string_view token) {
  TextRange out;
  if (fault) return out;
  if (const auto error = range_of(impl, document, token, out)) fail_json(error);
  return out;
}

TextRange BodyWalk::skip(od::value value, std::string_view token, unsigned depth) {
  if (const auto error = check_value(value, token, depth)) fail_json(error);
  return range(token);
}

std::optional<std::uint64_t> whole_number(std::string_view token) {
  if (const auto whole = number_as<std::uint64_t>(token)) return whole;
  constexpr double kExact = 9007199254740992.0;  // 2^53: beyond, a double no longer tells whole numbers apart
  const double number = number_as<double>(token).value_or(-1);
  if (number < 0 || number > kExact || number != std::floor(number)) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

std::string string_field(BodyWalk& walk, std::string_view token, std::string_view param) {
  if (!is_string(token)) {
    walk.fail_field(std::string(param), "must be a string");
    return {};
  }
  auto text = json_unescape(inside_quotes(token));
  if (!text) {
    walk.fail_json(simdjson::STRING_ERROR);
    return {};
  }
  return *std::move(text);
}

}  // namespace truekeel::protocol
