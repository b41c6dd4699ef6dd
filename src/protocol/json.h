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
#include "protocol/text_range.h"

namespace truekeel::protocol {

/// A text whose string has this much spare capacity is parsed in place; any other is copied first.
inline constexpr std::size_t kJsonPadding = 64;

/// Deeper texts are refused. Real requests (JSON schemas of tools) stay below 20; servers behind us
/// recurse, and their stacks are not ours to test.
inline constexpr unsigned kJsonDepthMax = 128;

/// Objects with more members at the top are refused: a body of empty ones would grow tenfold in memory.
inline constexpr std::size_t kJsonMembersMax = 1024;

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

/// One member of an object.
struct JsonMember {
  std::string name;       ///< decoded: "mod\u0065l" is model
  std::size_t begin = 0;  ///< where its name's opening quote stands
  TextRange value;        ///< as written, without the blanks around it
};

/// Checks a whole JSON text whose root is an object and says where its members lie, in their order,
/// duplicates included.
/// Error::invalid_argument when the text is not JSON (RFC 8259), not UTF-8, not an object, deeper than
/// kJsonDepthMax, or has more than kJsonMembersMax members. Escapes inside strings are not checked, except in
/// member names.
[[nodiscard]] Result<std::vector<JsonMember>> index_object(JsonParser& parser, const std::string& text);

/// Appends `"text"` with escapes. Bytes that are not UTF-8 become U+FFFD.
void append_quoted(std::string& out, std::string_view text);
[[nodiscard]] std::string quoted(std::string_view text);

/// The text that a JSON string stands for, given what is between its quotes. Half a surrogate pair becomes
/// U+FFFD: clients that cut text in the middle of a pair do send it.
/// Error::invalid_argument when an escape is none of JSON's.
[[nodiscard]] Result<std::string> json_unescape(std::string_view escaped);

/// The size of json_unescape(escaped), at the speed of memchr where there are no escapes.
[[nodiscard]] Result<std::size_t> json_unescaped_size(std::string_view escaped);

}  // namespace truekeel::protocol
