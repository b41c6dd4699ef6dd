// SPDX-License-Identifier: Apache-2.0
// Walks the body of a request, member by member, and names the field at fault. Internal to this layer:
// included by sources only.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/errors.h"
#include "protocol/json_walk.h"

namespace truekeel::protocol {

/// One walk over a body: the first fault ends it.
struct BodyWalk {
  JsonParser::Impl& impl;
  od::document& document;
  std::optional<ApiError> fault;

  void fail_field(std::string param, std::string_view must);
  void fail_json(simdjson::error_code error);
  /// Where a value lies that begins with `token` and has been walked; {} after a fault.
  TextRange range(std::string_view token);
  /// The same for a value that nobody reads, once it is checked; `token`: its token_of().
  TextRange skip(od::value value, std::string_view token, unsigned depth);
  TextRange skip(od::value value, unsigned depth) { return skip(value, token_of(value), depth); }
};

[[nodiscard]] ApiError json_fault(simdjson::error_code error);

/// Calls `each(name, value)` for the members of an object, until a fault.
template <class Each>
void walk_object(BodyWalk& walk, od::value value, Each&& each) {
  od::object object;
  if (const auto error = value.get_object().get(object)) return walk.fail_json(error);
  for (auto result : object) {
    od::field field;
    if (const auto error = std::move(result).get(field)) return walk.fail_json(error);
    std::string decoded;
    const auto name = name_of(field, decoded);
    if (!name) return walk.fail_json(simdjson::STRING_ERROR);
    each(*name, field.value());
    if (walk.fault) return;
  }
}

/// Calls `each(index, value)` for the elements of an array, until a fault.
template <class Each>
void walk_array(BodyWalk& walk, od::value value, Each&& each) {
  od::array array;
  if (const auto error = value.get_array().get(array)) return walk.fail_json(error);
  std::size_t index = 0;
  for (auto result : array) {
    od::value element;
    if (const auto error = std::move(result).get(element)) return walk.fail_json(error);
    each(index++, element);
    if (walk.fault) return;
  }
}

/// A JSON number as a T; nullopt when it is none or does not fit.
template <class T>
[[nodiscard]] std::optional<T> number_as(std::string_view token) {
  if (!valid_number(token)) return std::nullopt;
  const char* const begin = token.data();
  const char* const end = begin + token.size();
  T value{};
  const auto [at, error] = std::from_chars(begin, end, value);
  return error == std::errc() && at == end ? std::optional<T>(value) : std::nullopt;
}

/// A whole number of at least 0, also as 16.0 or 1.6e1; nullopt for anything else.
[[nodiscard]] std::optional<std::uint64_t> whole_number(std::string_view token);

/// The decoded string, or a fault at `param`.
[[nodiscard]] std::string string_field(BodyWalk& walk, std::string_view token, std::string_view param);

/// Opens a body and gives its members to `each(name, value, begin)`, then checks what follows.
template <class Each>
void walk_body(BodyWalk& walk, const std::string& body, Each&& each) {
  od::object root;
  if (const auto error = walk.impl.open(body).get(walk.document)) return walk.fail_json(error);
  if (const auto error = walk.document.get_object().get(root)) return walk.fail_json(error);
  for (auto result : root) {
    od::field field;
    if (const auto error = std::move(result).get(field)) return walk.fail_json(error);
    std::string decoded;
    const auto name = name_of(field, decoded);
    if (!name) return walk.fail_json(simdjson::STRING_ERROR);
    each(*name, field.value(), walk.impl.position(field.key().raw()) - 1);
    if (walk.fault) return;
  }
  if (const auto error = check_end(walk.document)) walk.fail_json(error);
}

}  // namespace truekeel::protocol
