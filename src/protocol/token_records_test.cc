// SPDX-License-Identifier: Apache-2.0
#include "protocol/token_records.h"

#include <gtest/gtest.h>

#include <string>

namespace truekeel::protocol {
namespace {

TokenRecords read(std::string_view logprobs, std::string_view audit = {}) {
  TokenRecordReader reader;
  TokenRecords records;
  const auto result = reader.read(logprobs, audit, records);
  EXPECT_TRUE(result) << result.error().message;
  return records;
}

bool fails(std::string_view logprobs, std::string_view audit = {}) {
  TokenRecordReader reader;
  TokenRecords records;
  return !reader.read(logprobs, audit, records);
}

TEST(TokenRecords, OurWorkersWithIdsAndRanks) {
  const auto records = read(
      R"({"content":[{"token":" fox","id":16438,"bytes":[32,102],"logprob":-2.5,"rank":1,"top_logprobs":[)"
      R"({"token":" dog","id":4,"bytes":[32],"logprob":-0.5},{"token":" fox","id":16438,"bytes":[32],"logprob":-2.5}]},)"
      R"({"token":"!","id":17,"bytes":[33],"logprob":-9,"rank":40,"top_logprobs":[)"
      R"({"token":".","id":30,"bytes":[46],"logprob":-0.1},{"token":",","id":28,"bytes":[44],"logprob":-3}]}],"refusal":null})");
  ASSERT_EQ(records.tokens.size(), 2u);
  EXPECT_EQ(records.tokens[0],
            (RecordedToken{.logprob = -2.5, .id = 16438, .rank = 1, .first = 0, .listed = 2, .drawn = 1}));
  EXPECT_EQ(records.tokens[1], (RecordedToken{.logprob = -9, .id = 17, .rank = 40, .first = 2, .listed = 2}));
  EXPECT_EQ(records.top, (std::vector<float>{-0.5f, -2.5f, -0.1f, -3.0f}));
}

TEST(TokenRecords, VllmsWithoutIdsAndWithTheChosenFirst) {
  // A token that ends inside a character has an empty text and no bytes; "token" names it twice.
  const auto records = read(
      R"({"content":[{"token":"","logprob":-3.25,"bytes":[],"top_logprobs":[{"token":"","logprob":-3.25,"bytes":[]},)"
      R"({"token":"","logprob":-1.5,"bytes":[]},{"token":"a","logprob":-2.0,"bytes":[97]}]}]})");
  ASSERT_EQ(records.tokens.size(), 1u);
  EXPECT_EQ(records.tokens[0].drawn, 0u);
  EXPECT_EQ(records.tokens[0].id, kNoNumber);
  EXPECT_EQ(records.tokens[0].listed, 3u);
}

TEST(TokenRecords, LlamaServersIncludingWhatItSaysOfTheImpossible) {
  const auto records = read(
      R"({"content":[{"id":7,"token":"\ufffd","bytes":[152,130],"logprob":-3.4028234663852886e+38,"top_logprobs":[)"
      R"({"id":9,"token":"x","bytes":[120],"logprob":0.0},{"id":8,"token":"y","bytes":[121],"logprob":-4.5}]}]})");
  ASSERT_EQ(records.tokens.size(), 1u);
  EXPECT_TRUE(records.tokens[0].continues_character);
  EXPECT_EQ(records.tokens[0].drawn, kNoNumber);
  EXPECT_LT(records.tokens[0].logprob, -1e38);
}

TEST(TokenRecords, TheOlderListsOfCompletionsBesideRecords) {
  EXPECT_EQ(read(R"({"tokens":["a"],"token_logprobs":[-1],"text_offset":[0],"top_logprobs":[{"a":-1}],)"
                 R"("content":[{"token":"a","id":5,"logprob":-1,"top_logprobs":[]}]})")
                .tokens.size(),
            1u);
  EXPECT_TRUE(fails(R"({"tokens":["a"],"token_logprobs":[-1],"top_logprobs":[{"a":-1}],"text_offset":[0]})"));
}

constexpr std::string_view kDraw =
    R"([[3, 19556, 0, 0, 49152, 40582731283902, 8211310022317, 25799520044061,
         -0.81634, 20.11482, 19556, 0, 0.0712, 0.0183, 0.0041]])";

TEST(TokenRecords, TheNumbersOfADraw) {
  const auto records = read({}, kDraw);
  ASSERT_EQ(records.tokens.size(), 1u);
  EXPECT_EQ(records.tokens[0].id, 19556u);
  ASSERT_EQ(records.tokens[0].draw, 0u);
  EXPECT_EQ(records.draws[0], (DrawNumbers{.position = 3,
                                           .kept_weight = 40582731283902,
                                           .begin = 8211310022317,
                                           .end = 25799520044061,
                                           .full = true,
                                           .logprob = -0.81634,
                                           .top_margin = 0,
                                           .mass_below = {0.0712, 0.0183, 0.0041}}));
  EXPECT_FALSE(read({}, "[[0,5,0,0,9,30,10,20]]").draws[0].full);
  EXPECT_TRUE(read({}, "[[0,5,0,0,9,30,10,20,-1,2,5,0,0.1,0.1,0.1,77,78]]").draws[0].full) << "more columns";
  EXPECT_TRUE(read({}, "[]").tokens.empty());
}

TEST(TokenRecords, BothTogetherSpeakOfTheSameTokens) {
  const std::string one = R"({"content":[{"token":"a","id":19556,"logprob":-0.81634,"top_logprobs":[]}]})";
  EXPECT_EQ(read(one, kDraw).tokens[0].draw, 0u);
  EXPECT_TRUE(fails(one, "[]"));
  EXPECT_TRUE(fails(R"({"content":[]})", kDraw));
}

TEST(TokenRecords, WhatIsNotUnderstoodIsRefused) {
  for (const std::string_view text :
       {"5", "{}", "[1]", R"({"content":[5]})", R"({"content":[{"token":"a"}]})",
        R"({"content":[{"logprob":null}]})", R"({"content":[{"logprob":"-1"}]})",
        R"({"content":[{"logprob":-1}]} x)", R"({"content":[{"logprob":-1,"top_logprobs":[{"token":"a"}]}]})",
        R"({"content":[{"logprob":-1})", R"({"content":[{"logprob":1e39}]})",
        R"({"content":[{"logprob":-1,"top_logprobs":[{"logprob":-1e39}]}]})"})
    EXPECT_TRUE(fails(text)) << text;
  for (const std::string_view text :
       {"{}", "[5]", "[[1,2]]", "[[0,-5,0,0,9,30,10,20]]", "[[0,5,0,0,9,30,10,20]",
        "[[0,5,0,0,9,30,10,20,-1e39,2,5,0,0.1,0.1,0.1]]", "[[0,5,0,0,9,30,10,20,-1,2,5,1e39,0.1,0.1,0.1]]",
        "[[0,5,0,0,9,30,10,20,3e38,2,5,3e38,0.1,0.1,0.1]]", "[[0,5,0,0,9,30,10,20,-1,2,5,0,1.1,0.1,0.1]]",
        "[[0,5,0,0,9,30,10,20,-1,2,5,0,0.1,-0.1,0.1]]"})
    EXPECT_TRUE(fails({}, text)) << text;
  EXPECT_TRUE(read(R"({"content":null})").tokens.empty()) << "nothing was recorded";
}

TEST(TokenRecords, IsBounded) {
  std::string many = R"({"content":[{"logprob":-1,"top_logprobs":[)";
  for (int i = 0; i < 200; ++i) many += std::string(i > 0 ? "," : "") + R"({"logprob":-1})";
  EXPECT_EQ(read(many + "]}]}").tokens[0].listed, kAlternativesMax);
  std::string tokens = R"({"content":[{"logprob":-1})";
  for (std::size_t i = 0; i < kRecordsMax; ++i) tokens += R"(,{"logprob":-1})";
  TokenRecordReader reader;
  TokenRecords records;
  const auto result = reader.read(tokens + "]}", {}, records);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::too_large);
}

}  // namespace
}  // namespace truekeel::protocol
