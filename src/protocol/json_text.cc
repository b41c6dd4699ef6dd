// SPDX-License-Identifier: Apache-2.0
// Strings of JSON: escapes in both directions.
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>

#include "protocol/json.h"

namespace truekeel::protocol {
namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

/// Four hex digits at the front of `text`; nullopt when there are not.
std::optional<std::uint32_t> hex4(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text.substr(0, 4)) {
    value <<= 4;
    if (c >= '0' && c <= '9') {
      value |= static_cast<std::uint32_t>(c - '0');
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      value |= static_cast<std::uint32_t>((c | 0x20) - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return value;
}

/// UTF-8 of one code point.
struct Utf8 {
  std::array<char, 4> bytes;
  std::size_t size;
};

Utf8 encode(std::uint32_t c) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) return {{static_cast<char>(c)}, 1};
  if (c < 0x800) return {{static_cast<char>(0xC0 | (c >> 6)), tail(0)}, 2};
  if (c < 0x10000) return {{static_cast<char>(0xE0 | (c >> 12)), tail(6), tail(0)}, 3};
  return {{static_cast<char>(0xF0 | (c >> 18)), tail(12), tail(6), tail(0)}, 4};
}

/// Reads what follows `\u` and moves `at` behind it.
std::optional<std::uint32_t> code_point(std::string_view text, std::size_t& at) {
  const auto first = hex4(text.substr(at));
  if (!first) return std::nullopt;
  at += 4;
  if (*first < 0xD800 || *first > 0xDFFF) return first;
  if (*first <= 0xDBFF && text.substr(at, 2) == "\\u") {
    const auto second = hex4(text.substr(at + 2));
    if (second && *second >= 0xDC00 && *second <= 0xDFFF) {
      at += 6;
      return 0x10000 + ((*first - 0xD800) << 10) + (*second - 0xDC00);
    }
  }
  return kReplacement;
}

/// The character that a backslash and `c` stand for; 0 when there is none.
char simple_escape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return 0;
  }
}

/// Escapes stand close together in code and far apart in prose: look near by before calling memchr.
std::size_t find_backslash(std::string_view text, std::size_t at) {
  const std::size_t near = std::min(text.size(), at + 16);
  for (; at < near; ++at) {
    if (text[at] == '\\') return at;
  }
  return text.find('\\', at);
}

/// Gives the runs of decoded bytes to `sink`; false when an escape is not valid.
template <class Sink>
bool unescape(std::string_view text, Sink&& sink) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t slash = find_backslash(text, at);
    sink(text.substr(at, slash - at));
    if (slash == std::string_view::npos) return true;
    if (slash + 1 == text.size()) return false;
    at = slash + 2;
    if (text[slash + 1] == 'u') {
      const auto c = code_point(text, at);
      if (!c) return false;
      const Utf8 utf8 = encode(*c);
      sink(std::string_view(utf8.bytes.data(), utf8.size));
    } else {
      const char c = simple_escape(text[slash + 1]);
      if (c == 0) return false;
      sink(std::string_view(&c, 1));
    }
  }
  return true;
}

std::unexpected<Error> bad_escape() {
  return fail(ErrorCode::invalid_argument, "a string holds an escape that JSON does not know");
}

bool needs_escape(char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

void append_escaped(std::string& out, char c) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[c & 0xF];
  }
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return;
  }
  out += '"';
  std::size_t run = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!needs_escape(text[i])) continue;
    out += text.substr(run, i - run);
    append_escaped(out, text[i]);
    run = i + 1;
  }
  out += text.substr(run);
  out += '"';
}

std::string quoted(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

Result<std::string> json_unescape(std::string_view escaped) {
  if (!escaped.contains('\\')) return std::string(escaped);
  std::string out;
  out.reserve(escaped.size());
  if (!unescape(escaped, [&](std::string_view run) { out += run; })) return bad_escape();
  return out;
}

Result<std::size_t> json_unescaped_size(std::string_view escaped) {
  std::size_t size = 0;
  if (!unescape(escaped, [&](std::string_view run) { size += run.size(); })) return bad_escape();
  return size;
}

}  // namespace truekeel::protocol
