// SPDX-License-Identifier: Apache-2.0
// HTTP messages as values: header fields in order, heads, and how they are written. Thread safety: plain
// values. Invariant: what is written has no byte that could end a field or a line early.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truekeel::http {

struct Field {
  std::string_view name;
  std::string_view value;

  bool operator==(const Field&) const = default;
};

/// Header fields in the order of arrival, duplicates kept. Names compare without regard to case.
/// All text stands in one buffer, which clear() keeps at a usual size: a reused object allocates nothing.
/// Views into it hold until the next change.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Field> fields);

  void add(std::string_view name, std::string_view value);
  /// Replaces all fields of that name by one, at the end.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  void clear();

  /// The first field of that name.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
  /// Whether a comma-separated list in any field of that name has the token.
  [[nodiscard]] bool lists(std::string_view name, std::string_view token) const;

  [[nodiscard]] std::size_t size() const { return places_.size(); }
  [[nodiscard]] bool empty() const { return places_.empty(); }
  [[nodiscard]] Field operator[](std::size_t i) const;

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Field;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Field;

    Iterator(const Headers& headers, std::size_t i) : headers_(&headers), i_(i) {}
    Field operator*() const { return (*headers_)[i_]; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    Iterator operator++(int) { return {*headers_, i_++}; }
    bool operator==(const Iterator&) const = default;

   private:
    const Headers* headers_;
    std::size_t i_;
  };
  [[nodiscard]] Iterator begin() const { return {*this, 0}; }
  [[nodiscard]] Iterator end() const { return {*this, size()}; }

  /// For a parser, whose fields arrive in pieces: opens a field, extends its name, then its value; trim()
  /// cuts the blanks at the end of the value.
  void open();
  void extend_name(std::string_view piece);
  void extend_value(std::string_view piece);
  void trim();

 private:
  struct Place {
    std::uint32_t at;  ///< of the name in text_; the value follows it
    std::uint32_t name_bytes;
    std::uint32_t value_bytes;
  };
  [[nodiscard]] bool is(const Place& place, std::string_view name) const;
  [[nodiscard]] Field field(const Place& place) const;

  std::string text_;
  std::vector<Place> places_;
};

struct RequestHead {
  std::string method = "GET";
  std::string target = "/";  ///< path and query
  int minor_version = 1;     ///< HTTP/1.0 or 1.1
  Headers headers;
};

struct ResponseHead {
  int status = 200;
  int minor_version = 1;
  Headers headers;
};

/// Requires: the texts are of one size.
[[nodiscard]] bool same_ignoring_case(std::string_view a, std::string_view b);

/// Inline, for nearly all names that are compared differ in size.
[[nodiscard]] inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && same_ignoring_case(a, b);
}

/// The usual phrase for a status; empty for one without.
[[nodiscard]] std::string_view reason_phrase(int status);

/// A time as Date fields have it: "Sun, 06 Nov 1994 08:49:37 GMT".
[[nodiscard]] std::string http_date(std::chrono::sys_seconds time);

/// Tells the fields that concern one hop alone and must not be passed on (RFC 9110, 7.6.1): the known ones
/// and those that `headers` lists in Connection. `headers` is borrowed for life.
class HopByHop {
 public:
  explicit HopByHop(const Headers& headers);
  [[nodiscard]] bool operator()(std::string_view name) const;

 private:
  const Headers& headers_;
  bool lists_;  ///< Connection may name something beyond close and keep-alive
};

/// All fields but those of one hop, and those of the names in `but`.
[[nodiscard]] Headers end_to_end(const Headers& headers, std::initializer_list<std::string_view> but = {});

/// Whether the text is a token, as method and field names must be.
[[nodiscard]] bool is_token(std::string_view text);

/// Whether the text is visible ASCII throughout, as targets must be.
[[nodiscard]] bool is_graphic(std::string_view text);

/// Appends the number in decimal, or in hexadecimal as the sizes of chunks are.
void append_decimal(std::string& out, std::uint64_t number);
void append_hex(std::string& out, std::uint64_t number);

/// Appends "name: value" and the line's end. False, with `out` as it was, when the name is no token or the
/// value has a control byte: text of others must not become a field of ours.
[[nodiscard]] bool append_field(std::string& out, Field field);

}  // namespace truekeel::http
