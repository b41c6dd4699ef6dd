// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/assert.h"

namespace truekeel::http {
namespace {

// Memory that clear() keeps; a usual head has less.
constexpr std::size_t kKeptBytes = 4 << 10;

// What a first field makes room for, so that a usual head grows no more.
constexpr std::size_t kUsualFields = 16;
constexpr std::size_t kUsualBytes = 480;

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

// RFC 9110, 5.6.2.
constexpr std::array<bool, 256> kTokenBytes = [] {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

void append_number(std::string& out, std::uint64_t number, int base) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
  out.append(digits.data(), end);
}

constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }

constexpr std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Calls `visit` for each element of a comma-separated list, until it returns true.
template <class Visit>
bool any_element(std::string_view list, Visit visit) {
  while (true) {
    const auto comma = list.find(',');
    if (const auto element = trimmed(list.substr(0, comma)); !element.empty() && visit(element)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

constexpr std::array<std::string_view, 8> kHopByHop = {"connection",       "keep-alive", "proxy-authenticate",
                                                       "proxy-connection", "te",         "transfer-encoding",
                                                       "trailer",          "upgrade"};

struct Phrase {
  int status;
  std::string_view text;
};

// RFC 9110, 15. By status, for a binary search.
constexpr auto kPhrases = std::to_array<Phrase>({{200, "OK"},
                                                 {201, "Created"},
                                                 {202, "Accepted"},
                                                 {204, "No Content"},
                                                 {206, "Partial Content"},
                                                 {301, "Moved Permanently"},
                                                 {302, "Found"},
                                                 {303, "See Other"},
                                                 {304, "Not Modified"},
                                                 {307, "Temporary Redirect"},
                                                 {308, "Permanent Redirect"},
                                                 {400, "Bad Request"},
                                                 {401, "Unauthorized"},
                                                 {402, "Payment Required"},
                                                 {403, "Forbidden"},
                                                 {404, "Not Found"},
                                                 {405, "Method Not Allowed"},
                                                 {406, "Not Acceptable"},
                                                 {408, "Request Timeout"},
                                                 {409, "Conflict"},
                                                 {410, "Gone"},
                                                 {411, "Length Required"},
                                                 {412, "Precondition Failed"},
                                                 {413, "Content Too Large"},
                                                 {414, "URI Too Long"},
                                                 {415, "Unsupported Media Type"},
                                                 {416, "Range Not Satisfiable"},
                                                 {417, "Expectation Failed"},
                                                 {421, "Misdirected Request"},
                                                 {422, "Unprocessable Content"},
                                                 {424, "Failed Dependency"},
                                                 {425, "Too Early"},
                                                 {428, "Precondition Required"},
                                                 {429, "Too Many Requests"},
                                                 {431, "Request Header Fields Too Large"},
                                                 {451, "Unavailable For Legal Reasons"},
                                                 {500, "Internal Server Error"},
                                                 {501, "Not Implemented"},
                                                 {502, "Bad Gateway"},
                                                 {503, "Service Unavailable"},
                                                 {504, "Gateway Timeout"},
                                                 {505, "HTTP Version Not Supported"},
                                                 {507, "Insufficient Storage"}});
static_assert(std::ranges::is_sorted(kPhrases, {}, &Phrase::status));

}  // namespace

Headers::Headers(std::initializer_list<Field> fields) {
  for (const Field& field : fields) add(field.name, field.value);
}

void Headers::add(std::string_view name, std::string_view value) {
  open();
  extend_name(name);
  extend_value(value);
}

void Headers::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

void Headers::remove(std::string_view name) {
  std::erase_if(places_, [&](const Place& place) { return is(place, name); });
}

void Headers::clear() {
  if (text_.capacity() > kKeptBytes) text_ = {};
  text_.clear();
  places_.clear();
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const Place& place : places_) {
    if (is(place, name)) return field(place).value;
  }
  return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(places_, [&](const Place& place) { return is(place, name); }));
}

bool Headers::lists(std::string_view name, std::string_view token) const {
  for (const Place& place : places_) {
    if (!is(place, name)) continue;
    if (any_element(field(place).value,
                    [&](std::string_view element) { return equal_ignoring_case(element, token); })) {
      return true;
    }
  }
  return false;
}

Field Headers::operator[](std::size_t i) const { return field(places_[i]); }

bool Headers::is(const Place& place, std::string_view name) const {
  return place.name_bytes == name.size() &&
         same_ignoring_case(std::string_view(text_).substr(place.at, place.name_bytes), name);
}

Field Headers::field(const Place& place) const {
  const std::string_view text(text_);
  return {text.substr(place.at, place.name_bytes),
          text.substr(place.at + place.name_bytes, place.value_bytes)};
}

void Headers::open() {
  TK_ASSERT(text_.size() < UINT32_MAX);
  if (places_.capacity() == 0) {
    places_.reserve(kUsualFields);
    text_.reserve(kUsualBytes);
  }
  places_.push_back({static_cast<std::uint32_t>(text_.size()), 0, 0});
}

void Headers::extend_name(std::string_view piece) {
  TK_ASSERT(!places_.empty() && places_.back().value_bytes == 0);
  text_ += piece;
  places_.back().name_bytes += static_cast<std::uint32_t>(piece.size());
}

void Headers::extend_value(std::string_view piece) {
  TK_ASSERT(!places_.empty());
  text_ += piece;
  places_.back().value_bytes += static_cast<std::uint32_t>(piece.size());
}

void Headers::trim() {
  TK_ASSERT(!places_.empty());
  while (places_.back().value_bytes > 0 && is_blank(text_.back())) {
    text_.pop_back();
    --places_.back().value_bytes;
  }
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view reason_phrase(int status) {
  const auto found = std::ranges::lower_bound(kPhrases, status, {}, &Phrase::status);
  return found != kPhrases.end() && found->status == status ? found->text : std::string_view();
}

std::string http_date(std::chrono::sys_seconds time) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto midnight = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(midnight);
  const std::chrono::hh_mm_ss clock(time - midnight);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                     kDays[std::chrono::weekday(midnight).c_encoding()], static_cast<unsigned>(date.day()),
                     kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

HopByHop::HopByHop(const Headers& headers) : headers_(headers), lists_(false) {
  const auto connection = headers.find("connection");
  if (!connection) return;
  lists_ = headers.count("connection") > 1 ||
           (!equal_ignoring_case(*connection, "keep-alive") && !equal_ignoring_case(*connection, "close"));
}

bool HopByHop::operator()(std::string_view name) const {
  return std::ranges::any_of(kHopByHop,
                             [&](std::string_view hop) { return equal_ignoring_case(hop, name); }) ||
         (lists_ && headers_.lists("connection", name));
}

Headers end_to_end(const Headers& headers, std::initializer_list<std::string_view> but) {
  const HopByHop hop_by_hop(headers);
  Headers kept;
  for (const Field field : headers) {
    const auto is_it = [&](std::string_view name) { return equal_ignoring_case(field.name, name); };
    if (!hop_by_hop(field.name) && std::ranges::none_of(but, is_it)) kept.add(field.name, field.value);
  }
  return kept;
}

bool is_token(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return kTokenBytes[static_cast<unsigned char>(c)]; });
}

bool is_graphic(std::string_view text) {
  bool others = text.empty();
  for (const char c : text) others |= c <= 0x20 || c == 0x7F;  // above 0x7F, a char is negative
  return !others;
}

void append_decimal(std::string& out, std::uint64_t number) { append_number(out, number, 10); }
void append_hex(std::string& out, std::uint64_t number) { append_number(out, number, 16); }

bool append_field(std::string& out, Field field) {
  // To the end without a branch, so that the compiler takes many bytes at once.
  bool controls = false;
  for (const char c : field.value) {
    controls |= (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
  }
  if (controls || !is_token(field.name)) return false;
  out += field.name;
  out += ": ";
  out += field.value;
  out += "\r\n";
  return true;
}

}  // namespace truekeel::http
