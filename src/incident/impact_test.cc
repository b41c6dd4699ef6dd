// SPDX-License-Identifier: Apache-2.0
#include "incident/impact.h"

#include <gtest/gtest.h>

#include "base/philox.h"

namespace truekeel::incident {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr std::uint64_t kSeed = 7;
const WallTime kStart{hours(480'000)};

std::vector<EndpointFacts> fleet() {
  return {{"s1", {{"version", {"v1"}}, {"class", {"short", "long"}}}},
          {"s2", {{"version", {"v2"}}, {"class", {"short", "long"}}}}};
}

TEST(ImpactLedger, CountsRequestsExactlyAndSessionsClosely) {
  ImpactLedger ledger(kSeed);
  for (std::uint64_t session = 0; session < 2000; ++session) {
    for (int request = 0; request < 3; ++request) {
      ledger.count(session % 4 == 0 ? "s2" : "s1", "short", session, kStart + minutes(1));
    }
  }
  const auto impact = ledger.measure({{"version", "v2"}}, fleet(), kStart, kStart + hours(1));
  EXPECT_EQ(impact.requests, 1500u);
  EXPECT_EQ(impact.requests_all, 6000u);
  EXPECT_NEAR(impact.sessions, 500, 70);
  EXPECT_NEAR(impact.sessions_all, 2000, 270);
  EXPECT_TRUE(impact.exact);
}

TEST(ImpactLedger, ASessionThatMovesCountsOnceInTheWhole) {
  ImpactLedger ledger(kSeed);
  ledger.count("s1", "short", 1, kStart);
  ledger.count("s2", "long", 1, kStart + hours(1));
  const auto impact = ledger.measure({}, fleet(), kStart, kStart + hours(1));
  EXPECT_EQ(impact.requests_all, 2u);
  EXPECT_NEAR(impact.sessions_all, 1, 0.01);
}

TEST(ImpactLedger, FindsTheWorstHour) {
  ImpactLedger ledger(kSeed);
  const int bad[] = {1, 16, 4};
  for (int hour = 0; hour < 3; ++hour) {
    for (int i = 0; i < 100; ++i) ledger.count(i < bad[hour] ? "s2" : "s1", "short", 0, kStart + hours(hour));
  }
  const auto impact = ledger.measure({{"endpoint", "s2"}}, fleet(), kStart, kStart + hours(3));
  EXPECT_EQ(impact.requests, 21u);
  EXPECT_EQ(impact.worst_hour, kStart + hours(1));
  EXPECT_DOUBLE_EQ(impact.worst_share, 0.16);
}

TEST(ImpactLedger, TellsClassesApartAndSaysWhereItCannot) {
  ImpactLedger ledger(kSeed);
  ledger.count("s1", "short", 1, kStart);
  ledger.count("s1", "long", 2, kStart);
  const auto of_class = ledger.measure({{"endpoint", "s1"}, {"class", "long"}}, fleet(), kStart, kStart);
  EXPECT_EQ(of_class.requests, 1u);
  EXPECT_TRUE(of_class.exact);
  EXPECT_FALSE(ledger.measure({{"prompt_length", "1k-2k"}}, fleet(), kStart, kStart).exact);
}

TEST(ImpactLedger, TwoTogetherAreAsOneThatCountedAll) {
  ImpactLedger one(kSeed, 10), first(kSeed, 10), second(kSeed, 10);
  for (std::uint64_t i = 0; i < 300; ++i) {
    const auto at = kStart + minutes(i % 60);
    one.count(i % 3 == 0 ? "s1" : "s2", "short", i % 70, at);
    (i % 2 == 0 ? first : second).count(i % 3 == 0 ? "s1" : "s2", "short", i % 70, at);
  }
  first.add(second);
  const Traffic s1 = {{"endpoint", "s1"}};
  EXPECT_EQ(first.cells(), one.cells());
  EXPECT_EQ(first.measure(s1, fleet(), kStart, kStart + hours(1)),
            one.measure(s1, fleet(), kStart, kStart + hours(1)));
}

TEST(ImpactLedger, KnowsEndpointsThatHaveNothingOfAnAttribute) {
  ImpactLedger ledger(kSeed);
  ledger.count("s1", "short", 1, kStart);
  ledger.count("s2", "short", 2, kStart);
  auto endpoints = fleet();
  endpoints[0].values["hardware"] = {};
  endpoints[1].values["hardware"] = {"h100"};
  const auto impact = ledger.measure({{"hardware", "h100"}}, endpoints, kStart, kStart);
  EXPECT_EQ(impact.requests, 1u);
  EXPECT_TRUE(impact.exact);
}

TEST(ImpactLedger, IsBoundedByDroppingTheOldestHours) {
  ImpactLedger ledger(kSeed, 10);
  for (int hour = 0; hour < 50; ++hour) ledger.count("s1", "short", 1, kStart + hours(hour));
  EXPECT_EQ(ledger.cells(), 10u);
  EXPECT_EQ(ledger.measure({}, fleet(), kStart, kStart + hours(39)).requests_all, 0u);
  EXPECT_EQ(ledger.measure({}, fleet(), kStart, kStart + hours(49)).requests_all, 10u);
  EXPECT_EQ(ledger.measure({}, fleet(), kStart, kStart + hours(49)).since, kStart + hours(40));
  ledger.forget_before(kStart + hours(45));
  EXPECT_EQ(ledger.cells(), 5u);
}

TEST(ImpactLedger, BeginsAtTheOnset) {
  ImpactLedger ledger(kSeed);
  ledger.count("s1", "short", 1, kStart);
  ledger.count("s1", "short", 1, kStart + minutes(20));
  EXPECT_EQ(ledger.measure({}, fleet(), kStart + minutes(10), kStart + hours(1)).requests_all, 1u);
  const auto within = ledger.measure({}, fleet(), kStart + minutes(22), kStart + hours(1));
  EXPECT_EQ(within.requests_all, 1u);
  EXPECT_EQ(within.since, kStart + minutes(20)) << "the slot of the onset counts whole";
}

TEST(ImpactLedger, WithoutTrafficThereIsNoWorstHour) {
  const auto impact = ImpactLedger(kSeed).measure({}, fleet(), kStart - minutes(30), kStart);
  EXPECT_EQ(impact.requests_all, 0u);
  EXPECT_FALSE(impact.worst_hour.has_value());
  EXPECT_EQ(impact.since, kStart) << "the end: nothing was counted";
}

}  // namespace
}  // namespace truekeel::incident
