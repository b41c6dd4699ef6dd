// SPDX-License-Identifier: Apache-2.0
// How this layer walks JSON with simdjson's on-demand parser. Included by sources only, never by headers.
//
// Stage 1 of simdjson checks UTF-8, quotes and control characters of the whole text at some GB/s, then a
// value is looked at only when asked. What nobody asked for would go unchecked: check_value() walks it.
// Requires everywhere: values are taken in the order of the text, and after an error none is.
#pragma once

#include <simdjson.h>

#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/json.h"

namespace truekeel::protocol {

namespace od = simdjson::ondemand;

/// Our own fault beside simdjson's, under a code that its walks never give.
inline constexpr auto kTooManyMembers = simdjson::INDEX_OUT_OF_BOUNDS;

struct JsonParser::Impl {
  od::parser parser;
  std::string copy;            ///< of a text without spare capacity
  const char* base = nullptr;  ///< where the text being walked begins

  /// Starts on `text`. Requires: it stays unchanged and in place while it is walked.
  [[nodiscard]] simdjson::simdjson_result<od::document> open(const std::string& text);
  /// The same for a text that lies anywhere; it is copied.
  [[nodiscard]] simdjson::simdjson_result<od::document> open_copy(std::string_view text);

  [[nodiscard]] std::size_t position(const char* at) const { return static_cast<std::size_t>(at - base); }
  [[nodiscard]] std::size_t position(std::string_view token) const {
    return static_cast<std::size_t>(token.data() - base);
  }

 private:
  [[nodiscard]] simdjson::simdjson_result<od::document> iterate(const std::string& text);
};

/// The value's first token as written: a whole scalar, or the bracket that opens a container. Consumes a
/// string, for simdjson would take an unread one before a colon for a key, and {"a":"b":1} for JSON.
[[nodiscard]] std::string_view token_of(od::value& value);

[[nodiscard]] inline bool is_null(std::string_view token) { return token == "null"; }
[[nodiscard]] inline bool is_string(std::string_view token) {
  return token.size() >= 2 && token.front() == '"';
}

/// Between the quotes, escapes as written. Requires: is_string(token).
[[nodiscard]] inline std::string_view inside_quotes(std::string_view token) {
  return token.substr(1, token.size() - 2);
}

/// Whether a field's name is `name`, written without escapes. Reads at most name.size() + 1 bytes, which
/// the padding covers. Requires: name.size() < kJsonPadding. Inline, for most names that an answer's members
/// are compared with differ in the first bytes.
[[nodiscard]] inline bool name_is(od::field& field, std::string_view name) {
  const char* raw = field.key().raw();
  return std::memcmp(raw, name.data(), name.size()) == 0 && raw[name.size()] == '"';
}

/// The field's name as it lies in the text; where it has escapes, decoded into `decoded`.
/// Error::invalid_argument as of json_unescape.
[[nodiscard]] Result<std::string_view> name_of(od::field& field, std::string& decoded);

/// Walks a value and all in it; `depth` is the number of containers around it.
[[nodiscard]] simdjson::error_code check_value(od::value value, unsigned depth);
/// The same where token_of(value) has been taken.
[[nodiscard]] simdjson::error_code check_value(od::value value, std::string_view token, unsigned depth);

/// The document's root object has been walked: nothing but blanks may follow.
[[nodiscard]] simdjson::error_code check_end(od::document& document);

/// Where a value lies that begins with `token` and has just been walked, or is a scalar.
/// INCOMPLETE_ARRAY_OR_OBJECT when the text ends with it, and so before the root does.
[[nodiscard]] simdjson::error_code range_of(const JsonParser::Impl& impl, od::document& document,
                                            std::string_view token, TextRange& out);

/// The number grammar of RFC 8259, section 6; any size, so that 1e400 can pass through.
[[nodiscard]] bool valid_number(std::string_view token);

/// In words for a client; never holds content.
[[nodiscard]] std::string describe(simdjson::error_code error);

}  // namespace truekeel::protocol
