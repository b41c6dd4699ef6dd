// SPDX-License-Identifier: Apache-2.0
#include "incident/change.h"

#include <gmock/gmock.h>

namespace truekeel::incident {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

const WallTime kOnset{std::chrono::milliseconds(1'756'000'000'000)};
const WallTime kKnown = kOnset + minutes(30);

std::vector<EndpointFacts> fleet() {
  std::vector<EndpointFacts> endpoints;
  for (int i = 1; i <= 8; ++i) {
    endpoints.push_back({"s" + std::to_string(i), {{"version", {i <= 2 ? "v2" : "v1"}}}});
  }
  return endpoints;
}

Change change(std::uint64_t number, WallTime at, Traffic touches) {
  return {.number = number, .at = at, .kind = "deploy", .summary = "s", .touches = std::move(touches)};
}

std::vector<std::uint64_t> order(const std::vector<Change>& changes, const Traffic& traffic) {
  std::vector<std::uint64_t> numbers;
  for (const auto& item : rank_changes(changes, traffic, kOnset, kKnown, fleet())) {
    numbers.push_back(item.change.number);
  }
  return numbers;
}

TEST(RankChanges, TheNearerInTimeComesFirst) {
  const Traffic v2 = {{"version", "v2"}};
  EXPECT_THAT(order({change(1, kOnset - hours(5), v2), change(2, kOnset - minutes(5), v2)}, v2),
              testing::ElementsAre(2, 1));
}

TEST(RankChanges, TheSameTrafficComesBeforeAllTrafficAndOtherTrafficIsLeftOut) {
  const WallTime at = kOnset - minutes(10);
  EXPECT_THAT(order({change(1, at, {}), change(2, at, {{"version", "v1"}}),
                     change(3, at, {{"version", "v2"}}), change(4, at, {{"endpoint", "s1"}})},
                    {{"version", "v2"}}),
              testing::ElementsAre(3, 4, 1));
}

TEST(RankChanges, WhatCameAfterTheNoticeOrLongBeforeIsLeftOut) {
  EXPECT_THAT(order({change(1, kKnown + minutes(1), {}), change(2, kOnset - hours(24 * 8), {})}, {}),
              testing::IsEmpty());
}

TEST(RankChanges, ShortlyAfterTheEstimatedOnsetCountsLessThanShortlyBefore) {
  EXPECT_THAT(order({change(1, kOnset + minutes(4), {}), change(2, kOnset - minutes(4), {})}, {}),
              testing::ElementsAre(2, 1));
}

TEST(RankChanges, IsBounded) {
  EXPECT_EQ(order(std::vector<Change>(100, change(1, kOnset, {})), {}).size(), kRankedChangesMax);
}

}  // namespace
}  // namespace truekeel::incident
