// SPDX-License-Identifier: Apache-2.0
#include "protocol/json_walk.h"

namespace truekeel::protocol {
namespace {

/// Beyond this, buffers are given back at the next text; most requests stay far below.
constexpr std::size_t kKeptBytes = 1u << 20;

static_assert(kJsonPadding >= simdjson::SIMDJSON_PADDING);

constexpr bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trim_end(std::string_view text) {
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool valid_scalar(std::string_view token) {
  return is_string(token) || token == "null" || token == "true" || token == "false" || valid_number(token);
}

simdjson::error_code check_object(od::object object, unsigned depth) {
  for (auto result : object) {
    od::field field;
    if (const auto error = std::move(result).get(field)) return error;
    if (const auto error = check_value(field.value(), depth + 1)) return error;
  }
  return simdjson::SUCCESS;
}

simdjson::error_code check_array(od::array array, unsigned depth) {
  for (auto result : array) {
    od::value value;
    if (const auto error = std::move(result).get(value)) return error;
    if (const auto error = check_value(value, depth + 1)) return error;
  }
  return simdjson::SUCCESS;
}

}  // namespace

bool valid_number(std::string_view token) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t begin = at;
    while (at < token.size() && is_digit(token[at])) ++at;
    return at - begin;
  };
  if (token.starts_with('-')) ++at;
  const std::size_t first = at;
  const std::size_t whole = digits();
  if (whole == 0 || (whole > 1 && token[first] == '0')) return false;
  if (at < token.size() && token[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < token.size() && (token[at] | 0x20) == 'e') {
    ++at;
    if (at < token.size() && (token[at] == '+' || token[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == token.size();
}

simdjson::simdjson_result<od::document> JsonParser::Impl::iterate(const std::string& text) {
  if (parser.capacity() > kKeptBytes && text.size() <= kKeptBytes) parser = od::parser();
  base = text.data();
  return parser.iterate(text.data(), text.size(), text.size() + kJsonPadding);
}

simdjson::simdjson_result<od::document> JsonParser::Impl::open(const std::string& text) {
  if (text.capacity() - text.size() < kJsonPadding) return open_copy(text);
  return iterate(text);
}

simdjson::simdjson_result<od::document> JsonParser::Impl::open_copy(std::string_view text) {
  if (copy.capacity() > kKeptBytes && text.size() <= kKeptBytes) copy = std::string();
  copy.reserve(text.size() + kJsonPadding);
  copy.assign(text);
  return iterate(copy);
}

std::string_view token_of(od::value& value) {
  const std::string_view token = trim_end(value.raw_json_token());
  if (is_string(token)) (void)value.get_raw_json_string().error();
  return token;
}

Result<std::string_view> name_of(od::field& field, std::string& decoded) {
  const char* raw = field.key().raw();
  const char* end = raw;
  bool escaped = false;
  while (*end != '"') {
    escaped |= *end == '\\';
    end += *end == '\\' ? 2 : 1;
  }
  const std::string_view name(raw, end);
  if (!escaped) return name;
  auto text = json_unescape(name);
  if (!text) return std::unexpected(std::move(text).error());
  decoded = *std::move(text);
  return decoded;
}

simdjson::error_code check_value(od::value value, unsigned depth) {
  const std::string_view token = token_of(value);
  return check_value(value, token, depth);
}

simdjson::error_code check_value(od::value value, std::string_view token, unsigned depth) {
  if (depth >= kJsonDepthMax) return simdjson::DEPTH_ERROR;
  if (token == "{") {
    od::object object;
    if (const auto error = value.get_object().get(object)) return error;
    return check_object(object, depth);
  }
  if (token == "[") {
    od::array array;
    if (const auto error = value.get_array().get(array)) return error;
    return check_array(array, depth);
  }
  return valid_scalar(token) ? simdjson::SUCCESS : simdjson::TAPE_ERROR;
}

simdjson::error_code check_end(od::document& document) {
  return document.current_location().error() == simdjson::OUT_OF_BOUNDS ? simdjson::SUCCESS
                                                                        : simdjson::TRAILING_CONTENT;
}

simdjson::error_code range_of(const JsonParser::Impl& impl, od::document& document, std::string_view token,
                              TextRange& out) {
  const std::size_t begin = impl.position(token);
  std::string_view text = token;
  if (token == "{" || token == "[") {
    const char* next = nullptr;
    if (document.current_location().get(next)) return simdjson::INCOMPLETE_ARRAY_OR_OBJECT;
    text = trim_end(std::string_view(impl.base + begin, impl.position(next) - begin));
  }
  out = {begin, begin + text.size()};
  return simdjson::SUCCESS;
}

std::string describe(simdjson::error_code error) {
  switch (error) {
    case simdjson::UTF8_ERROR:
      return "it is not valid UTF-8";
    case simdjson::DEPTH_ERROR:
      return "it is nested deeper than " + std::to_string(kJsonDepthMax) + " levels";
    case simdjson::EMPTY:
      return "it is empty";
    case simdjson::INCORRECT_TYPE:
      return "it is not a JSON object";
    case simdjson::CAPACITY:
      return "it is larger than 4 GiB";
    case kTooManyMembers:
      return "it has more than " + std::to_string(kJsonMembersMax) + " members";
    case simdjson::MEMALLOC:
      return "there is not enough memory for it";
    default:
      return "it is not valid JSON";
  }
}

}  // namespace truekeel::protocol
