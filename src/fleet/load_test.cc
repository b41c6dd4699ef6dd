// SPDX-License-Identifier: Apache-2.0
#include "fleet/load.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/philox.h"

namespace truekeel::fleet {
namespace {

std::vector<bool> over(std::vector<MemberLoad> members, std::uint32_t bound_milli = 1500) {
  return over_bound(members, bound_milli);
}

TEST(Load, AMemberWithMoreThanItsBoundIsPassedOver) {
  // 20 calls and the one to come: 1.5 times a third of 21 is 10.5.
  EXPECT_EQ(over({{11}, {5}, {4}}), (std::vector{true, false, false}));
  EXPECT_EQ(over({{10}, {6}, {4}}), (std::vector{false, false, false}));
  // 2 times a half of 10 is exactly 10.
  EXPECT_EQ(over({{10}, {0}}, 1000), (std::vector{true, false}));
  EXPECT_EQ(over({{9}, {0}}, 2000), (std::vector{false, false}));
}

TEST(Load, SharesFollowWeights) {
  EXPECT_EQ(over({{30, 3000}, {10, 1000}}, 1000), (std::vector{false, false}));
  EXPECT_EQ(over({{31, 3000}, {10, 1000}}, 1000), (std::vector{false, false}));
  EXPECT_EQ(over({{32, 3000}, {10, 1000}}, 1000), (std::vector{false, false}));
  EXPECT_EQ(over({{34, 3000}, {10, 1000}}, 1000), (std::vector{true, false}));
  EXPECT_EQ(over({{31, 3000}, {12, 1000}}, 1000), (std::vector{false, true}));
}

TEST(Load, FewCallsAreNeverTooMany) {
  EXPECT_EQ(over({{3}, {0}, {0}}, 1000), (std::vector{false, false, false}));
  EXPECT_EQ(over({{4}, {0}, {0}}, 1000), (std::vector{true, false, false}));
}

TEST(Load, WithoutABoundNobodyIs) {
  EXPECT_EQ(over({{1000}, {0}}, 0), (std::vector{false, false}));
  EXPECT_TRUE(over({}).empty());
}

TEST(Load, NeverAllOfThem) {
  PhiloxStream random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<MemberLoad> members(1 + random.below(6));
    for (MemberLoad& member : members) {
      member.in_flight = static_cast<std::uint32_t>(random.below(round % 2 == 0 ? 20 : UINT32_MAX));
      member.weight_milli = 1 + static_cast<std::uint32_t>(random.below(1'000'000));
    }
    const auto result = over(members, 1000 + static_cast<std::uint32_t>(random.below(3)));
    EXPECT_TRUE(std::ranges::find(result, false) != result.end()) << "round " << round;
  }
}

}  // namespace
}  // namespace truekeel::fleet
