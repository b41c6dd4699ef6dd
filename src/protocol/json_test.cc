// SPDX-License-Identifier: Apache-2.0
#include "protocol/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace truekeel::protocol {
namespace {

/// "name@begin=value" of every member.
std::vector<std::string> members(const std::string& text) {
  JsonParser parser;
  const auto found = index_object(parser, text);
  if (!found) return {"error: " + found.error().message};
  std::vector<std::string> out;
  for (const auto& m : *found) {
    out.push_back(m.name + "@" + std::to_string(m.begin) + "=" + std::string(m.value.of(text)));
  }
  return out;
}

using Strings = std::vector<std::string>;

TEST(IndexObject, FindsMembersAsWritten) {
  EXPECT_EQ(members(R"({"a":1.0,"b":[1, 2 ],"c":{"d":null}})"),
            (Strings{"a@1=1.0", "b@9=[1, 2 ]", R"(c@21={"d":null})"}));
  EXPECT_EQ(members(" \n{ \"a\" :\t1e400 , \"a\": \"x, }\\\"\" }\r\n "),
            (Strings{"a@4=1e400", R"(a@18="x, }\"")"}));
  EXPECT_EQ(members(R"({"mod\u0065l":true,"":-0.5E+7})"), (Strings{"model@1=true", "@19=-0.5E+7"}));
  EXPECT_EQ(members("{}"), Strings{});
  EXPECT_EQ(members(R"({"big":123456789012345678901234567890})"),
            Strings{"big@1=123456789012345678901234567890"});
}

TEST(IndexObject, RefusesWhatIsNoJson) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "}",
                           "{]",
                           "[1]",
                           "1",
                           "\"a\"",
                           "null",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{\"a\":\"b\":1}",
                           "{\"a\":\"b\":c]}",
                           "{\"a\":[\"b\":1]}",
                           "{\"a\":{\"b\":\"c\":[1]}}",
                           "{a:1}",
                           "{\"a\":1}}",
                           "{\"a\":1} {}",
                           "{\"a\":1},",
                           "{\"a\":01}",
                           "{\"a\":1.}",
                           "{\"a\":.5}",
                           "{\"a\":+1}",
                           "{\"a\":1e}",
                           "{\"a\":--1}",
                           "{\"a\":tru}",
                           "{\"a\":nulll}",
                           "{\"a\":NaN}",
                           "{\"a\":[1 2]}",
                           "{\"a\":[1,]}",
                           "{\"a\":[,1]}",
                           "{\"a\":{\"b\":1]}",
                           "{\"a\":{\"b\" 1}}",
                           "{\"a\":[}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"",
                           "{\"a\\q\":1}",
                           "{\"a\":{\"b\":1}",
                           "{\"a\":[[1]}",
                           "{\"a\":\"\xFF\"}",
                           "{\"a\":\"\xC0\xAF\"}",
                           "{\"a\":1]",
                           "{'a':1}",
                           "{\"a\":1/*c*/}",
                           "\xEF\xBB\xBF{}x"}) {
    JsonParser parser;
    EXPECT_FALSE(index_object(parser, text)) << text;
    EXPECT_FALSE(nlohmann::json::accept(text) && text[0] == '{') << "the table is wrong: " << text;
  }
}

TEST(IndexObject, BoundsDepth) {
  const auto nested = [](std::size_t depth) {  // the root is one level
    return R"({"a":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  JsonParser parser;
  EXPECT_TRUE(index_object(parser, nested(kJsonDepthMax)));
  const auto deep = index_object(parser, nested(kJsonDepthMax + 1));
  ASSERT_FALSE(deep);
  EXPECT_NE(deep.error().message.find("128 levels"), std::string::npos) << deep.error().message;
  EXPECT_FALSE(index_object(parser, nested(1'000'000)));
  EXPECT_FALSE(index_object(parser, R"({"a":)" + std::string(1'000'000, '[') + "}"));
}

TEST(IndexObject, BoundsMembers) {
  const auto object = [](std::size_t n) {
    std::string text = "{";
    for (std::size_t i = 0; i < n; ++i) text += i == 0 ? R"("":0)" : R"(,"":0)";
    return text + "}";
  };
  EXPECT_EQ(members(object(kJsonMembersMax)).size(), kJsonMembersMax);
  EXPECT_EQ(members(object(kJsonMembersMax + 1)).size(), 1);
}

TEST(IndexObject, ReusesItsBuffersInPlaceAndByCopy) {
  JsonParser parser;
  for (const std::size_t size : {10u, 3'000'000u, 10u}) {
    std::string text = R"({"a":")" + std::string(size, 'x') + R"("})";
    text.shrink_to_fit();
    const auto copied = index_object(parser, text);
    text.reserve(text.size() + kJsonPadding);
    const auto in_place = index_object(parser, text);
    ASSERT_TRUE(copied && in_place);
    EXPECT_EQ(copied->at(0).value, (TextRange{5, size + 7}));
    EXPECT_EQ(in_place->at(0).value, (TextRange{5, size + 7}));
  }
}

struct Escape {
  std::string escaped, text;
};

TEST(JsonUnescape, KnowsAllEscapes) {
  for (const auto& [escaped, text] : std::vector<Escape>{
           {"", ""},
           {"plain \xC3\xA9", "plain \xC3\xA9"},
           {R"(\"\\\/\b\f\n\r\t)", "\"\\/\b\f\n\r\t"},
           {R"(a\u0041\u00e9\u20AC)", "aA\xC3\xA9\xE2\x82\xAC"},
           {R"(\ud83d\ude00!)", "\xF0\x9F\x98\x80!"},
           {R"(\u0000)", std::string(1, '\0')},
           {R"(\ud83d)", "\xEF\xBF\xBD"},
           {R"(\ude00\ud83dx)", "\xEF\xBF\xBD\xEF\xBF\xBDx"},
           {R"(\ud83d\u0041)",
            "\xEF\xBF\xBD"
            "A"},
           {R"(\ud83d\ud83d\ude00)", "\xEF\xBF\xBD\xF0\x9F\x98\x80"},
       }) {
    EXPECT_EQ(json_unescape(escaped), text) << escaped;
    EXPECT_EQ(json_unescaped_size(escaped), text.size()) << escaped;
  }
  for (const char* bad : {"\\", "\\q", "\\u", "\\u12", "\\u12g4", "a\\U0041", "\\x41"}) {
    EXPECT_FALSE(json_unescape(bad)) << bad;
    EXPECT_FALSE(json_unescaped_size(bad)) << bad;
  }
}

TEST(AppendQuoted, IsUndoneByUnescape) {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  all += "\xC3\xA9\xF0\x9F\x98\x80";
  std::string quoted;
  append_quoted(quoted, all);
  EXPECT_EQ(nlohmann::json::parse(quoted).get<std::string>(), all);
  EXPECT_EQ(json_unescape(std::string_view(quoted).substr(1, quoted.size() - 2)), all);

  std::string replaced;
  append_quoted(replaced, "a\xFF");
  EXPECT_EQ(replaced, "\"a\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace truekeel::protocol
