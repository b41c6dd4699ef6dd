// SPDX-License-Identifier: Apache-2.0
// Typed reading of a YAML tree that reports every mistake with its place, path and fix. Used by
// config_yaml.cc alone. Thread safety: none. Borrows the tree for life.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "fleet/config.h"
#include "fleet/yaml_tree.h"

namespace truekeel::fleet {

/// The mistakes found so far. Bounded: what passes kMaxProblems is dropped.
class Problems {
 public:
  void add(const YamlNode& at, std::string path, std::string message, std::string fix);

  [[nodiscard]] bool empty() const { return found_.empty(); }
  [[nodiscard]] bool full() const { return found_.size() >= kMaxProblems; }

  /// In the order of the file.
  [[nodiscard]] std::vector<ConfigProblem> take();

 private:
  std::vector<ConfigProblem> found_;
};

/// What a name may be made of; names go into paths, labels and headers as they are.
struct NameRule {
  std::string_view also;  ///< characters besides letters and digits
  std::size_t length_max;
};
inline constexpr NameRule kPlainName{"._-", 64};
inline constexpr NameRule kModelName{"._-/:@+", 200};

/// Longer lists are no longer written by hand, and cross-checks may then be quadratic.
inline constexpr std::size_t kListMax = 1000;

/// A value in the file, with its path for messages.
struct Place {
  const YamlNode* node;
  std::string path;
  Problems* problems;

  void wrong(std::string message, std::string fix) const {
    problems->add(*node, path, std::move(message), std::move(fix));
  }

  /// The elements of a sequence, 1 to kListMax; says so otherwise.
  [[nodiscard]] std::vector<Place> items(std::string_view what) const;

  /// Any scalar as text.
  [[nodiscard]] std::optional<std::string> text() const;

  [[nodiscard]] std::optional<std::string> name(NameRule rule) const;
};

template <class T>
struct Range {
  T least;
  T most;
};

enum class Presence { optional, required };

/// A map with known keys. Its construction reports what is no map, unknown keys and duplicates. The
/// readers return nothing for what is absent or wrong, and report the latter.
class Section {
 public:
  Section(Place place, std::initializer_list<std::string_view> keys);

  [[nodiscard]] std::optional<Place> child(std::string_view key,
                                           Presence presence = Presence::optional) const;

  [[nodiscard]] std::optional<std::string> text(std::string_view key,
                                                Presence presence = Presence::optional) const;
  [[nodiscard]] std::optional<std::string> name(std::string_view key, NameRule rule,
                                                Presence presence = Presence::required) const;
  /// The name of an environment variable; empty when absent or wrong.
  [[nodiscard]] std::string env_name(std::string_view key) const;
  [[nodiscard]] std::optional<std::uint64_t> integer(std::string_view key, Range<std::uint64_t> range,
                                                     Presence presence = Presence::optional) const;
  [[nodiscard]] std::optional<double> number(std::string_view key, Range<double> range) const;
  /// Seconds, fractions allowed.
  [[nodiscard]] std::optional<Duration> seconds(std::string_view key, Range<double> range) const;

  /// Where a complaint about `key` belongs: its value, or the whole section when it is absent.
  [[nodiscard]] Place at(std::string_view key) const { return child(key).value_or(place_); }

 private:
  Place place_;
};

/// What was written, short enough to be repeated in a message.
[[nodiscard]] std::string quote(std::string_view text);

/// The best of `known` that `word` may have been meant as, if any is near.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word,
                                                      const std::vector<std::string_view>& known);

}  // namespace truekeel::fleet
