// SPDX-License-Identifier: Apache-2.0
// YAML text as a tree in which every node knows its place, with bounds on everything: what a person writes
// by hand, no anchors, no aliases, no tags, one document. Thread safety: pure functions and values.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace truekeel::fleet {

struct YamlEntry;

struct YamlNode {
  enum class Kind { null, scalar, sequence, map };

  Kind kind = Kind::null;
  bool quoted = false;  ///< of a scalar: written with quotes, so a text whatever it looks like
  int line = 1;         ///< from 1, as editors count
  int column = 1;
  std::string text;                ///< of a scalar
  std::vector<YamlNode> items;     ///< of a sequence
  std::vector<YamlEntry> entries;  ///< of a map, in the order of the text, duplicates included
};

struct YamlEntry {
  YamlNode key;
  YamlNode value;
};

struct YamlFault {
  int line = 1;
  int column = 1;
  std::string message;
  std::string fix;
};

inline constexpr int kMaxYamlDepth = 16;

/// Requires: the text is bounded by the caller. Cost: linear in it.
[[nodiscard]] std::expected<YamlNode, YamlFault> parse_yaml(std::string_view text);

}  // namespace truekeel::fleet
