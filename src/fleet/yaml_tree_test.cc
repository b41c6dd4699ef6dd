// SPDX-License-Identifier: Apache-2.0
#include "fleet/yaml_tree.h"

#include <gtest/gtest.h>

namespace truekeel::fleet {
namespace {

using Kind = YamlNode::Kind;

TEST(YamlTree, EveryNodeKnowsItsPlace) {
  const auto tree = parse_yaml("# comment\na: 1\nb:\n  - \"x\"\n  - {c: }\n");
  ASSERT_TRUE(tree) << tree.error().message;
  ASSERT_EQ(tree->kind, Kind::map);
  ASSERT_EQ(tree->entries.size(), 2u);
  const auto& [a, one] = tree->entries[0];
  EXPECT_EQ(std::tuple(a.text, a.line, a.column), std::tuple("a", 2, 1));
  EXPECT_EQ(std::tuple(one.text, one.quoted, one.line, one.column), std::tuple("1", false, 2, 4));
  const auto& list = tree->entries[1].value;
  ASSERT_EQ(list.kind, Kind::sequence);
  EXPECT_EQ(std::tuple(list.items[0].text, list.items[0].quoted), std::tuple("x", true));
  const auto& inner = list.items[1];
  ASSERT_EQ(inner.kind, Kind::map);
  EXPECT_EQ(std::pair(inner.line, inner.column), std::pair(5, 5));
  EXPECT_EQ(inner.entries[0].value.kind, Kind::null);
}

TEST(YamlTree, DuplicatesAreKeptForTheReaderToReport) {
  const auto tree = parse_yaml("{a: 1, a: 2}");
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->entries.size(), 2u);
}

TEST(YamlTree, NothingIsNull) {
  for (const auto* text : {"", "# only a comment\n", "---\n", "\n\n"}) {
    const auto tree = parse_yaml(text);
    ASSERT_TRUE(tree) << text;
    EXPECT_EQ(tree->kind, Kind::null) << text;
  }
}

TEST(YamlTree, KeysMayBeAnything) {
  const auto tree = parse_yaml("? [1, 2]\n: x\n? {a: b}\n: y\n");
  ASSERT_TRUE(tree);
  ASSERT_EQ(tree->entries.size(), 2u);
  EXPECT_EQ(tree->entries[0].key.kind, Kind::sequence);
  EXPECT_EQ(tree->entries[1].value.text, "y");
}

TEST(YamlTree, RefusesWhatNoConfigurationNeeds) {
  for (const auto* text :
       {"a: &x 1", "a: *x", "a: !t 1", "a: !!str 1", "!m {a: 1}", "![]", "a: 1\n---\nb: 2\n", "a: 'open",
        "a: [1", "a: b: c", "\ta: 1", "%YAML 9.9\n---\na: 1"}) {
    const auto tree = parse_yaml(text);
    ASSERT_FALSE(tree) << text;
    EXPECT_FALSE(tree.error().message.empty() || tree.error().fix.empty()) << text;
    EXPECT_GE(tree.error().line, 1) << text;
    EXPECT_GE(tree.error().column, 1) << text;
  }
}

TEST(YamlTree, DepthIsBounded) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_yaml(nested(kMaxYamlDepth)));
  EXPECT_FALSE(parse_yaml(nested(kMaxYamlDepth + 1)));
  EXPECT_FALSE(parse_yaml(nested(100'000)));
}

}  // namespace
}  // namespace truekeel::fleet
