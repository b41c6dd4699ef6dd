// SPDX-License-Identifier: Apache-2.0
#include "gateway/stream_relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace truekeel::gateway {
namespace {

using protocol::Provider;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kHello = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\"}}]}\n\n";
constexpr std::string_view kStop =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

StreamRelay relay_for(Provider provider, std::uint64_t choices = 1) {
  return StreamRelay(
      {.provider = provider, .identity = {"msg_1", "m"}, .request_id = "req_1", .choices = choices});
}

TEST(StreamRelay, PassesOpenAiEventsByteForByteHoweverTheyAreCut) {
  const std::string stream =
      std::string(": keep-alive\n\n") + std::string(kHello) + std::string(kStop) + std::string(kDone);
  for (std::size_t cut = 1; cut < stream.size(); ++cut) {
    auto relay = relay_for(Provider::openai);
    std::string out;
    ASSERT_TRUE(relay.push(std::string_view(stream).substr(0, cut), out));
    ASSERT_TRUE(relay.push(std::string_view(stream).substr(cut), out));
    EXPECT_TRUE(relay.end(out));
    EXPECT_EQ(out, stream);
    EXPECT_EQ(relay.facts().output_events, 1u);
  }
}

TEST(StreamRelay, ACutStreamEndsWithAnErrorAndWithoutHalfAnEvent) {
  auto relay = relay_for(Provider::openai);
  std::string out;
  ASSERT_TRUE(relay.push(std::string(kHello) + "data: {\"choi", out));
  EXPECT_FALSE(relay.end(out));
  EXPECT_THAT(out, HasSubstr("\"error\""));
  EXPECT_THAT(out, Not(HasSubstr("\"choi\n")));
  EXPECT_THAT(out, EndsWith("\n\n"));
}

TEST(StreamRelay, EveryChoiceMustHaveFinishedWhereDoneIsMissing) {
  auto relay = relay_for(Provider::openai, 2);
  std::string out;
  ASSERT_TRUE(relay.push(kStop, out));
  EXPECT_FALSE(relay.end(out));
}

TEST(StreamRelay, NothingFollowsAnErrorOfTheServersOwn) {
  auto relay = relay_for(Provider::openai);
  std::string out;
  ASSERT_TRUE(relay.push("data: {\"error\":{\"message\":\"x\",\"code\":500}}\n\n", out));
  const auto before = out;
  relay.fail({.status = 502, .message = "gone", .param = {}, .code = {}}, out);
  EXPECT_EQ(out, before);
  EXPECT_TRUE(relay.facts().server_error);
}

TEST(StreamRelay, AnthropicClientsGetTheirEvents) {
  auto relay = relay_for(Provider::anthropic);
  std::string out;
  ASSERT_TRUE(relay.push(std::string(kHello) + std::string(kStop) + std::string(kDone), out));
  EXPECT_TRUE(relay.end(out));
  EXPECT_THAT(out, HasSubstr("event: message_start"));
  EXPECT_THAT(out, HasSubstr("event: message_stop"));
}

TEST(StreamRelay, AnthropicClientsSeeACutAsAnError) {
  auto relay = relay_for(Provider::anthropic);
  std::string out;
  ASSERT_TRUE(relay.push(kHello, out));
  EXPECT_FALSE(relay.end(out));
  EXPECT_THAT(out, HasSubstr("event: error"));
  EXPECT_THAT(out, Not(HasSubstr("message_stop")));
}

}  // namespace
}  // namespace truekeel::gateway
