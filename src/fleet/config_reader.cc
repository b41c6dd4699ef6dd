// SPDX-License-Identifier: Apache-2.0
#include "fleet/config_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>

namespace truekeel::fleet {
namespace {

const char* kind_name(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null:
      return "nothing";
    case YamlNode::Kind::scalar:
      return "a value";
    case YamlNode::Kind::sequence:
      return "a list";
    case YamlNode::Kind::map:
      return "a map";
  }
  return "";
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Levenshtein's distance, in one row.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

/// A scalar without quotes as a number of type T; says what is wrong otherwise.
template <class T>
std::optional<T> parse_number(const Place& place, Range<T> range) {
  const char* what = std::is_integral_v<T> ? "a whole number" : "a number";
  const auto allowed = fmt::format("write {} from {} to {}", what, range.least, range.most);
  if (place.node->kind != YamlNode::Kind::scalar) {
    place.wrong(fmt::format("must be {}, not {}", what, kind_name(*place.node)), allowed);
    return std::nullopt;
  }
  const std::string& text = place.node->text;
  if (place.node->quoted) {
    place.wrong(fmt::format("must be {}, not a text", what), "remove the quotes");
    return std::nullopt;
  }
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) {
    place.wrong(fmt::format("{} is not {}", quote(text), what), allowed);
    return std::nullopt;
  }
  if (error != std::errc() || !(value >= range.least && value <= range.most)) {
    place.wrong(fmt::format("{} is out of range", quote(text)), allowed);
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::string quote(std::string_view text) {
  constexpr std::size_t kShown = 60;
  return text.size() <= kShown ? fmt::format("'{}'", text) : fmt::format("'{}…'", text.substr(0, kShown));
}

void Problems::add(const YamlNode& at, std::string path, std::string message, std::string fix) {
  if (full()) return;
  found_.push_back({at.line, at.column, std::move(path), std::move(message), std::move(fix)});
}

std::vector<ConfigProblem> Problems::take() {
  std::ranges::sort(found_, [](const ConfigProblem& a, const ConfigProblem& b) {
    return std::tie(a.line, a.column, a.message) < std::tie(b.line, b.column, b.message);
  });
  return std::move(found_);
}

std::vector<Place> Place::items(std::string_view what) const {
  if (node->kind != YamlNode::Kind::sequence) {
    wrong(fmt::format("must be a list of {}, not {}", what, kind_name(*node)),
          "start each with '- ' on a line of its own");
    return {};
  }
  if (node->items.empty()) wrong("is empty", fmt::format("list at least one of the {}", what));
  if (node->items.size() > kListMax) {
    wrong(fmt::format("has {} {}", node->items.size(), what), fmt::format("list at most {}", kListMax));
    return {};
  }
  std::vector<Place> places;
  places.reserve(node->items.size());
  for (const auto& item : node->items) {
    places.push_back({&item, fmt::format("{}[{}]", path, places.size()), problems});
  }
  return places;
}

std::optional<std::string> Place::text() const {
  if (node->kind != YamlNode::Kind::scalar) {
    wrong(fmt::format("must be a text, not {}", kind_name(*node)), "write one value");
    return std::nullopt;
  }
  return node->text;
}

std::optional<std::string> Place::name(NameRule rule) const {
  auto name = text();
  const auto fits = [&](char c) { return is_alphanumeric(c) || rule.also.find(c) != std::string_view::npos; };
  if (!name) return std::nullopt;
  if (name->empty() || name->size() > rule.length_max || !std::ranges::all_of(*name, fits)) {
    wrong(fmt::format("{} is not a name", quote(*name)),
          fmt::format("use 1 to {} of letters, digits and {}", rule.length_max, rule.also));
    return std::nullopt;
  }
  return name;
}

Section::Section(Place place, std::initializer_list<std::string_view> keys) : place_(std::move(place)) {
  const std::vector<std::string_view> known(keys);
  if (place_.node->kind != YamlNode::Kind::map) {
    place_.wrong(fmt::format("must be a map, not {}", kind_name(*place_.node)),
                 fmt::format("write 'key: value' with keys of: {}", fmt::join(known, ", ")));
    return;
  }
  const auto& entries = place_.node->entries;
  for (auto entry = entries.begin(); entry != entries.end() && !place_.problems->full(); ++entry) {
    const std::string& key = entry->key.text;
    if (std::ranges::find(known, key) == known.end()) {
      const auto meant = nearest(key, known);
      place_.problems->add(entry->key, place_.path, fmt::format("unknown key {}", quote(key)),
                           meant ? fmt::format("did you mean '{}'?", *meant)
                                 : fmt::format("known here: {}", fmt::join(known, ", ")));
      continue;
    }
    const auto same = [&](const YamlEntry& other) { return other.key.text == key; };
    if (const auto first = std::find_if(entries.begin(), entry, same); first != entry) {
      place_.problems->add(entry->key, place_.path, fmt::format("duplicate key '{}'", key),
                           fmt::format("it stands in line {} already; keep one", first->key.line));
    }
  }
}

std::optional<Place> Section::child(std::string_view key, Presence presence) const {
  for (const auto& entry : place_.node->entries) {
    if (entry.key.text != key) continue;
    const std::string path = place_.path.empty() ? std::string(key) : fmt::format("{}.{}", place_.path, key);
    return Place{&entry.value, path, place_.problems};
  }
  if (presence == Presence::required && place_.node->kind == YamlNode::Kind::map) {
    place_.wrong(fmt::format("'{}' is missing", key), fmt::format("add '{}: …'", key));
  }
  return std::nullopt;
}

std::optional<std::string> Section::text(std::string_view key, Presence presence) const {
  const auto place = child(key, presence);
  return place ? place->text() : std::nullopt;
}

std::optional<std::string> Section::name(std::string_view key, NameRule rule, Presence presence) const {
  const auto place = child(key, presence);
  return place ? place->name(rule) : std::nullopt;
}

std::string Section::env_name(std::string_view key) const {
  constexpr std::size_t kLengthMax = 128;
  const auto place = child(key);
  const auto name = place ? place->text() : std::nullopt;
  if (!name) return {};
  const auto fits = [](char c) { return c == '_' || (is_alphanumeric(c) && !(c >= 'a' && c <= 'z')); };
  if (name->empty() || name->size() > kLengthMax || !std::ranges::all_of(*name, fits)) {
    // The text is not repeated: it may be the secret itself.
    place->wrong("is not the name of an environment variable",
                 "give the variable's NAME, never the secret itself; use A-Z, 0-9 and _");
    return {};
  }
  return *name;
}

std::optional<std::uint64_t> Section::integer(std::string_view key, Range<std::uint64_t> range,
                                              Presence presence) const {
  const auto place = child(key, presence);
  return place ? parse_number(*place, range) : std::nullopt;
}

std::optional<double> Section::number(std::string_view key, Range<double> range) const {
  const auto place = child(key);
  return place ? parse_number(*place, range) : std::nullopt;
}

std::optional<Duration> Section::seconds(std::string_view key, Range<double> range) const {
  const auto value = number(key, range);
  if (!value) return std::nullopt;
  return Duration(std::llround(*value * 1e9));
}

std::optional<std::string_view> nearest(std::string_view word, const std::vector<std::string_view>& known) {
  // Two slips in a word of six letters are still the same word; a longer unknown word is no slip.
  constexpr std::size_t kWordMax = 64;
  if (word.size() > kWordMax || known.empty()) return std::nullopt;
  const auto best = std::ranges::min_element(
      known, {}, [&](std::string_view candidate) { return edit_distance(word, candidate); });
  if (edit_distance(word, *best) > std::max<std::size_t>(1, best->size() / 3)) return std::nullopt;
  return *best;
}

}  // namespace truekeel::fleet
