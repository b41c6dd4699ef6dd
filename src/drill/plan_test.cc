// SPDX-License-Identifier: Apache-2.0
#include "drill/plan.h"

#include <gtest/gtest.h>

#include <set>

namespace truekeel::drill {
namespace {

TEST(Plan, FollowsFromItsSeed) {
  const auto plan = make_plan("corruption", 7, 0.01), again = make_plan("corruption", 7, 0.01);
  EXPECT_EQ(plan.fault, again.fault);
  EXPECT_EQ(plan.slice, again.slice);
  EXPECT_EQ(plan.quiet, again.quiet);
}

TEST(Plan, SeedsReachEverySliceAndFaultAndLeaveHealthyServers) {
  std::set<std::string> slices, faults;
  std::set<Duration> moments;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const auto plan = make_plan("corruption", seed, 0.008);
    slices.insert(incident::describe(plan.slice));
    faults.insert(plan.fault);
    moments.insert(plan.quiet);
    EXPECT_GE(plan.servers.size(), 1u) << seed;
    EXPECT_LE(plan.servers.size(), 2u) << seed;
    EXPECT_TRUE(make_plan("topk", seed, 0.05).fault == "top1:0.05") << seed;
  }
  EXPECT_EQ(slices.size(), 8u);
  EXPECT_EQ(faults, (std::set<std::string>{"tail:0.008,ids=uniform", "tail:0.008,ids=proportional",
                                           "tail:0.008,ids=script"}));
  EXPECT_EQ(moments.size(), 100u);
}

TEST(Plan, KnowsItsKinds) {
  EXPECT_TRUE(is_kind("corruption"));
  EXPECT_TRUE(is_kind("topk"));
  EXPECT_FALSE(is_kind("flood"));
}

TEST(SameTraffic, IsJudgedByWhatItCovers) {
  const incident::Traffic b = {{"hardware", "b"}};
  const auto fleet = fleet_facts("tk-1");
  const auto same_traffic = [&](const incident::Traffic& accused, const incident::Traffic& slice) {
    return drill::same_traffic(accused, slice, fleet);
  };
  EXPECT_TRUE(same_traffic({{"fingerprint", "tk-1"}, {"hardware", "b"}}, b)) << "all run alike";
  EXPECT_FALSE(same_traffic({{"fingerprint", "tk-2"}, {"hardware", "b"}}, b));
  EXPECT_TRUE(same_traffic(b, b));
  EXPECT_TRUE(same_traffic({{"hardware", "b"}, {"pool", "main"}}, b)) << "every server is in that pool";
  EXPECT_TRUE(same_traffic({{"hardware", "b"}, {"version", "v1"}}, {{"endpoint", "s3"}}));
  EXPECT_FALSE(same_traffic({}, b)) << "all traffic";
  EXPECT_FALSE(same_traffic({{"endpoint", "s3"}}, b)) << "half of it";
  EXPECT_FALSE(same_traffic({{"version", "v1"}}, b));
  EXPECT_FALSE(same_traffic({{"hardware", "b"}, {"prompt_length", "65-128"}}, b)) << "some requests of it";
}

}  // namespace
}  // namespace truekeel::drill
