// SPDX-License-Identifier: Apache-2.0
#include "fleet/client_keys.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace truekeel::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

std::string hex(const KeyHash& hash) {
  std::string text;
  for (const auto byte : hash) text += fmt::format("{:02x}", byte);
  return text;
}

std::string line(std::string_view name, std::string_view key, std::string_view options = "") {
  return fmt::format("{} sha256:{} {}\n", name, hex(hash_key(key)), options);
}

std::vector<std::string> problems(std::string_view text) {
  std::vector<std::string> found;
  const auto parsed = parse_client_keys(text, {});
  if (!parsed) {
    for (const auto& problem : parsed.error()) found.push_back(format_problem("f", problem));
  }
  return found;
}

TEST(ClientKeys, TheHashIsWhatSha256sumPrints) {
  EXPECT_EQ(hex(hash_key("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ClientKeys, AFileIsRead) {
  const auto clients = parse_client_keys("# who\n\n" + line("a.b", "k1") + line("c", "k2", "explain # x") +
                                             line("d", "k3", "requests_per_s=0.5 concurrent=2\r"),
                                         {.concurrent = 9, .requests_per_s = 8});
  ASSERT_TRUE(clients);
  ASSERT_EQ(clients->size(), 3u);
  EXPECT_EQ((*clients)[0].name, "a.b");
  EXPECT_EQ((*clients)[0].key, hash_key("k1"));
  EXPECT_EQ((*clients)[0].limits, (ClientLimits{9, 8}));
  EXPECT_FALSE((*clients)[0].explain);
  EXPECT_TRUE((*clients)[1].explain);
  EXPECT_EQ((*clients)[2].limits, (ClientLimits{2, 0.5}));
}

TEST(ClientKeys, EveryMistakeIsNamedWithItsPlace) {
  EXPECT_THAT(problems(""), ElementsAre(HasSubstr("f:1:1: no client stands in this file")));
  EXPECT_THAT(
      problems("\n  a/b sha256:00\n c  sha256:zz\n" + line("d", "k") + line("d", "l") + line("e", "k") +
               line("g", "m", "fast")),
      ElementsAre(HasSubstr("f:2:3: no name"), HasSubstr("f:3:5: no hash"), HasSubstr("f:5:1: this client"),
                  HasSubstr("f:6:3: another client"), HasSubstr("f:7:75: unknown option")));
  EXPECT_THAT(problems(line("a", "k", "concurrent=0")), ElementsAre(HasSubstr("out of range")));
  EXPECT_THAT(problems(line("a", "k", "requests_per_s=nan")), ElementsAre(HasSubstr("out of range")));
}

class ClientGateTest : public testing::Test {
 protected:
  std::string admit(std::string_view key) {
    const auto hash = hash_key(key);
    const auto admitted = gate_.admit(key.empty() ? nullptr : &hash, now_);
    if (admitted) return fmt::format("ok {}{}", admitted->client, admitted->may_explain ? " explained" : "");
    return fmt::format("{} {}", to_string(admitted.error().reason), admitted.error().retry_after_s);
  }

  Instant now_{};
  ClientGate gate_{*parse_client_keys(line("a", "k1", "concurrent=2 requests_per_s=4") +
                                          line("b", "k2", "explain requests_per_s=0.1"),
                                      {}),
                   now_};
};

TEST_F(ClientGateTest, OnlyKnownKeysPass) {
  EXPECT_EQ(admit(""), "no_key 0");
  EXPECT_EQ(admit("k3"), "unknown_key 0");
  EXPECT_EQ(admit(hex(hash_key("k1"))), "unknown_key 0");
  EXPECT_EQ(admit("k1"), "ok 0");
  EXPECT_EQ(admit("k2"), "ok 1 explained");
}

TEST_F(ClientGateTest, ConcurrencyIsPerClient) {
  EXPECT_EQ(admit("k1"), "ok 0");
  EXPECT_EQ(admit("k1"), "ok 0");
  EXPECT_EQ(admit("k1"), "too_many 1");
  EXPECT_EQ(admit("k2"), "ok 1 explained");
  gate_.release(0);
  EXPECT_EQ(admit("k1"), "ok 0");
}

TEST_F(ClientGateTest, TheRateIsABucketOfASecond) {
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(admit("k1"), "ok 0");
    gate_.release(0);
  }
  EXPECT_EQ(admit("k1"), "too_fast 1");
  now_ += milliseconds(250);
  EXPECT_EQ(admit("k1"), "ok 0");
  EXPECT_EQ(admit("k1"), "too_fast 1");
  EXPECT_EQ(admit("k2"), "ok 1 explained");
  gate_.release(1);
  EXPECT_EQ(admit("k2"), "too_fast 10");
  now_ += seconds(10);
  EXPECT_EQ(admit("k2"), "ok 1 explained");
}

TEST_F(ClientGateTest, OtherClientsTakeOverWhileCallsAreUnderWay) {
  EXPECT_EQ(admit("k1"), "ok 0");
  EXPECT_EQ(admit("k2"), "ok 1 explained");
  gate_.replace(*parse_client_keys(line("n", "k3") + line("b", "k2", "concurrent=1"), {}), now_);
  EXPECT_EQ(admit("k1"), "unknown_key 0");
  EXPECT_EQ(admit("k2"), "too_many 1") << "what it has under way still counts";
  EXPECT_EQ(admit("k3"), "ok 2") << "the place of one with a call under way was given away";
  gate_.release(0);
  gate_.release(1);
  now_ += seconds(1);
  EXPECT_EQ(admit("k2"), "ok 1") << "its line says nothing of explain any more";
  gate_.replace(*parse_client_keys(line("m", "k4") + line("b", "k2"), {}), now_);
  EXPECT_EQ(admit("k4"), "ok 0");
  EXPECT_EQ(admit("k3"), "unknown_key 0");
}

TEST_F(ClientGateTest, AReleaseTooManyIsABug) { EXPECT_DEATH(gate_.release(0), "under_way"); }

}  // namespace
}  // namespace truekeel::fleet
