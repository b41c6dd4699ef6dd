// SPDX-License-Identifier: Apache-2.0
#include "protocol/listed_tokens.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace truekeel::protocol {
namespace {

std::vector<ListedRow> read(std::string_view json, RowsIn where) {
  ListedTokenReader reader;
  const auto rows = reader.read(json, where);
  EXPECT_TRUE(rows) << rows.error().message;
  return rows.value_or(std::vector<ListedRow>());
}

TEST(ListedTokens, OfAChatAreThoseOfItsFirstChoice) {
  const auto rows = read(R"({"choices": [
    {"logprobs": {"refusal": null, "content": [
      {"token": "A", "logprob": -1, "top_logprobs": [
        {"token": "A", "bytes": [65], "logprob": -1.0}, {"token": "B", "logprob": -2.5, "bytes": [66]}]},
      {"token": "?", "logprob": -1, "top_logprobs": []}]}},
    {"logprobs": {"content": [{"top_logprobs": [{"token": "C", "logprob": -3}]}]}}]})",
                         RowsIn::chat);
  ASSERT_EQ(rows.size(), 1U);
  ASSERT_EQ(rows[0].size(), 2U);
  EXPECT_EQ(rows[0][1].logprob, -2.5f);
  EXPECT_NE(rows[0][0].key, rows[0][1].key);
}

TEST(ListedTokens, AreTheSameByBytesAndByText) {
  const auto row = [](std::string_view token) {
    return read(fmt::format(R"({{"tokens": [{{"top_logprobs": [{{{}, "logprob": -1}}]}}]}})", token),
                RowsIn::score)
        .at(0)
        .at(0);
  };
  EXPECT_EQ(row(R"("token": "h\u00e9")"), row(R"("bytes": [104, 195, 169], "token": "other")"));
  EXPECT_EQ(row(R"("token": "a", "bytes": null)"), row(R"("token": "a")"));
  EXPECT_NE(row(R"("token": "a")"), row(R"("token": "b")"));
}

TEST(ListedTokens, OfAPromptAreByIdAndTheFirstHasNone) {
  const auto rows = read(R"({"choices": [{"text": "x", "prompt_logprobs": [null,
    {"5": {"logprob": -0.5, "rank": 1, "decoded_token": "a"}, "9": {"logprob": -4, "rank": 7, "decoded_token": "b"}},
    {"9": {"logprob": -1.5, "rank": 1, "decoded_token": "b"}}]}]})",
                         RowsIn::prompt_logprobs);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0][1].key, rows[1][0].key);
}

TEST(ListedTokens, LeaveOutWhatIsNoProbability) {
  const auto rows =
      read(R"({"tokens": [{"top_logprobs": [{"token": "a", "logprob": -9999}, {"token": "b", "logprob": "x"},
    {"token": "c", "logprob": 3}, {"logprob": -1}, {"token": 5, "logprob": -1}, {"token": "d", "logprob": -1}]}]})",
           RowsIn::score);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].size(), 1U);
}

TEST(ListedTokens, AreNoneWhereAnAnswerHasNone) {
  for (const std::string_view json : {"{}", R"({"choices": null})", R"({"choices": [{"logprobs": null}]})",
                                      R"({"choices": [7]})", R"({"error": {"message": "no"}})"})
    EXPECT_TRUE(read(json, RowsIn::chat).empty()) << json;
}

TEST(ListedTokens, AreBounded) {
  std::string json = R"({"tokens": [)";
  for (std::size_t i = 0; i < kListedRowsMax + 5; ++i)
    json += R"({"top_logprobs": [{"token": "a", "logprob": -1}]},)";
  json.back() = ']';
  EXPECT_EQ(read(json + "}", RowsIn::score).size(), kListedRowsMax);
}

TEST(ListedTokens, OfJunkAreAnError) {
  ListedTokenReader reader;
  for (const std::string_view json : {"", "[]", "nonsense", R"({"choices": [)", "data: {}\n\n"})
    EXPECT_FALSE(reader.read(json, RowsIn::chat)) << json;
}

}  // namespace
}  // namespace truekeel::protocol
