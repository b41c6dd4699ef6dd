// SPDX-License-Identifier: Apache-2.0
#include "fleet/config_reader.h"

#include <gtest/gtest.h>

namespace truekeel::fleet {
namespace {

TEST(Nearest, FindsSlipsAndNothingElse) {
  const std::vector<std::string_view> keys = {"temperature", "top_p", "pool", "name"};
  EXPECT_EQ(nearest("tempature", keys), "temperature");
  EXPECT_EQ(nearest("top-p", keys), "top_p");
  EXPECT_EQ(nearest("pools", keys), "pool");
  EXPECT_EQ(nearest("names", keys), "name");
  EXPECT_EQ(nearest("url", keys), std::nullopt);
  EXPECT_EQ(nearest("node", keys), std::nullopt) << "half of another word";
  EXPECT_EQ(nearest("", keys), std::nullopt);
  EXPECT_EQ(nearest(std::string(1 << 20, 't'), keys), std::nullopt);
  EXPECT_EQ(nearest("pool", {}), std::nullopt);
}

TEST(Quote, ShortensWhatIsLong) {
  EXPECT_EQ(quote("x"), "'x'");
  EXPECT_EQ(quote(std::string(61, 'x')), "'" + std::string(60, 'x') + "…'");
}

class SectionTest : public testing::Test {
 protected:
  Section section(std::string_view yaml) {
    tree_ = parse_yaml(yaml).value();
    return Section(Place{&tree_, "s", &problems_}, {"a", "b"});
  }

  YamlNode tree_;
  Problems problems_;
};

TEST_F(SectionTest, ReadsWhatIsThere) {
  const auto read = section("{a: 7, b: text}");
  EXPECT_EQ(read.integer("a", {1, 7}), 7u);
  EXPECT_EQ(read.number("a", {0, 8}), 7.0);
  EXPECT_EQ(read.seconds("a", {0, 8}), std::chrono::seconds(7));
  EXPECT_EQ(read.text("b"), "text");
  EXPECT_EQ(read.name("b", kPlainName), "text");
  EXPECT_EQ(read.at("b").path, "s.b");
  EXPECT_TRUE(problems_.empty());
}

TEST_F(SectionTest, WhatIsAbsentIsWrongOnlyWhereItIsRequired) {
  const auto read = section("{}");
  EXPECT_EQ(read.text("a"), std::nullopt);
  EXPECT_EQ(read.env_name("a"), "");
  EXPECT_TRUE(problems_.empty());
  EXPECT_EQ(read.text("a", Presence::required), std::nullopt);
  EXPECT_EQ(problems_.take().size(), 1u);
  EXPECT_EQ(read.at("a").path, "s");
}

TEST_F(SectionTest, NamesAndVariablesAreChecked) {
  const auto read = section("{a: 'x y', b: secret}");
  EXPECT_EQ(read.name("a", kPlainName), std::nullopt);
  EXPECT_EQ(read.env_name("b"), "");
  const auto found = problems_.take();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].message.find("secret"), std::string::npos) << "a secret would be repeated in a log";
}

}  // namespace
}  // namespace truekeel::fleet
