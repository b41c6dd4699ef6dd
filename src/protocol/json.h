// SPDX-License-Identifier: Apache-2.0
// Buffers for reading JSON, and where the members of an object lie in its text.
// Thread safety: a JsonParser serves one thread at a time; the rest are plain values.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace truekeel::protocol {

/// A text whose string has this much spare capacity is parsed in place; any other is copied first.
inline constexpr std::size_t kJsonPadding = 64;

/// Deeper texts are refused. Real requests (JSON schemas of tools) stay below 20; servers behind us
/// recurse, and their stacks are not ours to test.
inline constexpr unsigned kJsonDepthMax = 128;

/// The buffers of a JSON parser, kept from one text to the next so that small texts allocate nothing.
/// Buffers grown by a text beyond 1 MiB are given back at the next one.
class JsonParser {
 public:
  JsonParser();
  ~JsonParser();
  JsonParser(JsonParser&&) noexcept;
  JsonParser& operator=(JsonParser&&) noexcept;

  struct Impl;  ///< simdjson stays out of our headers; json_walk.h defines it for this layer
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// Part of a text by position, so that it survives a move of the string that holds it.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;

  [[nodiscard]] std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
  bool operator==(const TextRange&) const = default;
};

/// One member of an object. Both ranges hold bytes as written: the name with its quotes, the value
/// without the blanks around it.
struct JsonMember {
  std::string name;  ///< decoded: "mod\u0065l" is model
  TextRange name_range;
  TextRange value;
};

/// Checks a whole JSON text whose root is an object and says where its members lie, in their order,
/// duplicates included.
/// Error::invalid_argument when the text is not JSON (RFC 8259), not UTF-8, not an object, or deeper
/// than kJsonDepthMax. Escapes inside strings are not checked, except in member names.
[[nodiscard]] Result<std::vector<JsonMember>> index_object(JsonParser& parser, const std::string& text);

/// `"text"` with escapes. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_quote(std::string_view text);

}  // namespace truekeel::protocol
