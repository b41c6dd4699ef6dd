// SPDX-License-Identifier: Apache-2.0
#include "incident/traffic.h"

#include <gmock/gmock.h>

namespace truekeel::incident {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<EndpointFacts> fleet() {
  return {{"s1", {{"pool", {"short"}}, {"version", {"v1"}}, {"class", {"short"}}}},
          {"s2", {{"pool", {"short"}}, {"version", {"v2"}}, {"class", {"short"}}}},
          {"l1", {{"pool", {"long"}}, {"version", {"v2"}}, {"class", {"long", "huge"}}}}};
}

TEST(Traffic, EndpointsAreThoseThatCanHaveIt) {
  EXPECT_THAT(endpoints_of({{"version", "v2"}}, fleet()), ElementsAre("s2", "l1"));
  EXPECT_THAT(endpoints_of({{"version", "v2"}, {"class", "huge"}}, fleet()), ElementsAre("l1"));
  EXPECT_THAT(endpoints_of({{"endpoint", "s1"}}, fleet()), ElementsAre("s1"));
  EXPECT_THAT(endpoints_of({{"endpoint", "s1"}, {"version", "v2"}}, fleet()), IsEmpty());
  EXPECT_THAT(endpoints_of({}, fleet()), ElementsAre("s1", "s2", "l1"));
}

TEST(Traffic, WhatVariesFromRequestToRequestExcludesNoEndpoint) {
  EXPECT_THAT(endpoints_of({{"prompt_length", "1k-2k"}, {"pool", "short"}}, fleet()),
              ElementsAre("s1", "s2"));
}

TEST(Traffic, AnEndpointHasNothingOfAnAttributeWithoutValues) {
  auto endpoints = fleet();
  endpoints[1].values["hardware"] = {"h100"};
  EXPECT_THAT(endpoints_of({{"hardware", "h100"}}, endpoints), ElementsAre("s1", "s2", "l1"));
  endpoints[0].values["hardware"] = endpoints[2].values["hardware"] = {};
  EXPECT_THAT(endpoints_of({{"hardware", "h100"}}, endpoints), ElementsAre("s2"));
  EXPECT_TRUE(covers({{"endpoint", "s2"}}, {{"hardware", "h100"}}, endpoints));
}

TEST(Traffic, ExclusionNeedsTwoValuesOfOneAttribute) {
  EXPECT_TRUE(excludes({{"endpoint", "s1"}}, {{"endpoint", "s2"}}));
  EXPECT_TRUE(excludes({{"pool", "a"}, {"version", "v1"}}, {{"version", "v2"}}));
  EXPECT_FALSE(excludes({{"endpoint", "s1"}}, {{"version", "v2"}}));
  EXPECT_FALSE(excludes({}, {{"version", "v2"}}));
}

TEST(Traffic, FewerTermsCoverMore) {
  EXPECT_TRUE(covers({{"endpoint", "s1"}}, {{"endpoint", "s1"}, {"class", "short"}}, fleet()));
  EXPECT_TRUE(covers({}, {{"endpoint", "s1"}}, fleet()));
  EXPECT_FALSE(covers({{"endpoint", "s1"}}, {}, fleet()));
}

TEST(Traffic, AnEndpointIsCoveredByWhatItAlwaysHas) {
  EXPECT_TRUE(covers({{"version", "v2"}}, {{"endpoint", "s2"}}, fleet()));
  EXPECT_TRUE(covers({{"endpoint", "s1"}}, {{"version", "v1"}}, fleet())) << "the only one of its version";
  EXPECT_FALSE(covers({{"class", "huge"}}, {{"endpoint", "l1"}}, fleet())) << "it serves another class, too";
  EXPECT_FALSE(covers({{"prompt_length", "1k-2k"}}, {{"endpoint", "s1"}}, fleet()));
  EXPECT_FALSE(covers({{"version", "v2"}}, {{"endpoint", "unknown"}}, fleet()));
}

TEST(Traffic, OverlapNeedsACommonEndpointAndNoContradiction) {
  EXPECT_TRUE(overlaps({{"version", "v2"}}, {{"pool", "short"}}, fleet()));
  EXPECT_FALSE(overlaps({{"version", "v1"}}, {{"pool", "long"}}, fleet()));
  EXPECT_FALSE(overlaps({{"endpoint", "l1"}, {"class", "long"}}, {{"class", "huge"}}, fleet()));
}

TEST(Traffic, IsDescribedInWords) {
  EXPECT_EQ(describe({{"endpoint", "s1"}, {"version", "v2"}}), "endpoint s1 with version v2");
  EXPECT_EQ(describe({}), "all traffic");
}

}  // namespace
}  // namespace truekeel::incident
