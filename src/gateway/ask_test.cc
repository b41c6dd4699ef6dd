// SPDX-License-Identifier: Apache-2.0
#include "gateway/ask.h"

#include <gtest/gtest.h>

namespace truekeel::gateway {
namespace {

using fleet::AffinitySource;
using protocol::JsonParser;

constexpr fleet::TokenizerTraits kTraits = {.byte_bound_holds = true,
                                            .longest_piece_bytes = 10,
                                            .overhead_per_message = 5,
                                            .overhead_per_request = 7};

Ask read(std::string_view target, std::string body) {
  JsonParser parser;
  auto ask = read_ask(find_route("POST", target, false), parser, std::move(body));
  EXPECT_TRUE(ask) << ask.error().message;
  return ask ? std::move(*ask) : Ask{};
}

TEST(Ask, AChatIsBoundedByItsBytesAndTheTemplate) {
  const auto ask = read(
      "/v1/chat/completions",
      R"({"model":"m","messages":[{"role":"system","content":"abcd"},{"role":"user","content":"hello world!"}]})");
  const auto range = bound_prompt(ask, kTraits);
  EXPECT_GE(range.upper, 16u + 2 * 5 + 7);
  EXPECT_GE(range.lower, 1u);
  EXPECT_LE(range.lower, range.upper);
}

TEST(Ask, ImagesAndToolsCannotBeBounded) {
  const auto image = read(
      "/v1/chat/completions",
      R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]})");
  EXPECT_FALSE(bound_prompt(image, kTraits).bounded());
  const auto tools =
      read("/v1/chat/completions",
           R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}]})");
  EXPECT_FALSE(bound_prompt(tools, kTraits).bounded());
}

TEST(Ask, TokenIdsAreTheirOwnCount) {
  const auto ask = read("/v1/completions", R"({"model":"m","prompt":[[1,2,3],[4,5]]})");
  EXPECT_EQ(bound_prompt(ask, kTraits), fleet::TokenRange::exactly(3));
}

TEST(Ask, TheLongestOfSeveralPromptsDecides) {
  const auto ask = read("/v1/completions", R"({"model":"m","prompt":["aa","bbbbbbbb"]})");
  const auto range = bound_prompt(ask, kTraits);
  EXPECT_GE(range.upper, 8u);
  EXPECT_LT(range.upper, 8u + 2 + 2 * 5 + 7);
}

TEST(Ask, AnthropicArrivesInOpenAisShape) {
  const auto ask = read(
      "/v1/messages",
      R"({"model":"m","max_tokens":9,"metadata":{"user_id":"u1"},"messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(ask.request.max_output(), 9u);
  EXPECT_EQ(affinity_of(ask, "", fleet::AffinitySecret("s")).source, AffinitySource::metadata_user_id);
}

TEST(Ask, AGrowingConversationKeepsItsKey) {
  const fleet::AffinitySecret secret("s");
  const auto first =
      read("/v1/chat/completions",
           R"({"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"one"}]})");
  const auto later = read(
      "/v1/chat/completions",
      R"({"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"one"},{"role":"assistant","content":"A"},{"role":"user","content":"two"}]})");
  EXPECT_EQ(affinity_of(first, "", secret), affinity_of(later, "", secret));
  EXPECT_EQ(affinity_of(first, "", secret).source, AffinitySource::prefix);
  EXPECT_NE(affinity_of(first, "session", secret), affinity_of(first, "", secret));
}

TEST(Ask, WhatIsWrongIsNamed) {
  JsonParser parser;
  const auto route = find_route("POST", "/v1/chat/completions", false);
  const auto wrong = read_ask(route, parser, R"({"model":"m","messages":[],"max_tokens":-1})");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().status, 400);
  EXPECT_FALSE(read_ask(route, parser, "{"));
}

TEST(Ask, ClientsAreToldApartByTheirKeyAndWithoutKeysByTheirAddress) {
  const fleet::AffinitySecret secret("s"), other("t");
  const auto a = fleet::hash_key("a"), b = fleet::hash_key("b");
  EXPECT_NE(client_hash(a, "10.0.0.1", secret), client_hash(b, "10.0.0.1", secret)) << "behind one proxy";
  EXPECT_EQ(client_hash(a, "10.0.0.1", secret), client_hash(a, "10.0.0.2", secret));
  EXPECT_NE(client_hash({}, "10.0.0.1", secret), client_hash({}, "10.0.0.2", secret));
  EXPECT_NE(client_hash(a, "10.0.0.1", secret), client_hash(a, "10.0.0.1", other));
}

}  // namespace
}  // namespace truekeel::gateway
