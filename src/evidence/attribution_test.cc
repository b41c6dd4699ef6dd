// SPDX-License-Identifier: Apache-2.0
// Small simulated fleets; attribution_bench runs the large experiment.
#include "evidence/attribution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "evidence/bounded_rate.h"
#include "evidence/simulated_fleet.h"

namespace truekeel::evidence {
namespace {

TEST(Attribution, NamesTheFaultOfASimulatedFleet) {
  constexpr std::uint64_t kSeed = 101;
  int right = 0, named = 0;
  for (std::uint64_t i = 0; i < 6; ++i) {
    const Trial trial =
        run_trial({.endpoints = 40, .clean_tokens = 300'000, .tokens_max = 3'000'000}, kSeed + i);
    EXPECT_EQ(trial.false_alarms, 0u);
    named += !trial.named.empty();
    right += !trial.named.empty() && trial.fault_named[0] == 0;
  }
  std::printf("fleets of 40 endpoints, seeds %llu..: first culprit right in %d of %d\n",
              static_cast<unsigned long long>(kSeed), right, named);
  EXPECT_GE(named, 5);
  EXPECT_GE(right, named - 1);
}

TEST(Attribution, TwoFaultsAreNamedOneAfterTheOther) {
  constexpr std::uint64_t kSeed = 211;
  int both = 0;
  for (std::uint64_t i = 0; i < 4; ++i) {
    const Trial trial = run_trial(
        {.endpoints = 40, .faults = 2, .clean_tokens = 300'000, .tokens_max = 3'000'000, .rate_least = 0.01},
        kSeed + i);
    both += std::ranges::count(trial.fault_named, 0) > 0 && std::ranges::count(trial.fault_named, 1) > 0;
  }
  EXPECT_GE(both, 3);
}

// Two answers of a hundred accuse by chance, all the time: thousands of them before the faults begin. While
// they counted as much as later ones, they hid the faults of these fleets from the explanations.
TEST(Attribution, WhatAccusedBeforeTheOnsetCountsForNothing) {
  for (const std::uint64_t seed : {102u, 105u, 108u}) {
    const Trial trial = run_trial(
        {.endpoints = 40, .faults = 2, .clean_tokens = 2'000'000, .tokens_max = 3'000'000, .noise = 0.02},
        seed);
    for (const int fault : {0, 1}) EXPECT_EQ(std::ranges::count(trial.fault_named, fault), 1) << seed;
  }
}

class HandMade : public testing::Test {
 protected:
  static constexpr double kLogStake = -23;

  /// One window with these requests, flagged or not, of 100 tokens each.
  std::optional<Culprit> window(std::initializer_list<std::pair<Coordinates, bool>> requests) {
    for (const auto& [where, bad] : requests) {
      std::vector<float> sums(bet_.bets().cells());
      for (int i = 0; i < 100; ++i) bet_.add(bad && i % 11 == 0, sums);
      lattice_.add(where, {.log_factors = sums, .tokens = 100});
    }
    const auto alarms = lattice_.flush(++tick_, kLogStake, &attribution_);
    alarmed_ = alarmed_ || !alarms.empty();
    attribution_.begin(lattice_, alarms, kLogStake);
    lattice_.reset(alarms);
    return attribution_.decide(lattice_, tick_);
  }

  static Coordinates at(ValueId endpoint, ValueId client) {
    Coordinates where;
    where[Attribute::endpoint] = endpoint;
    where[Attribute::version] = endpoint;  // the same traffic under another name
    where[Attribute::client_version] = client;
    return where;
  }

  BoundedRate bet_{1e-5};
  Lattice lattice_{bet_.bets().log_weights()};
  Attribution attribution_;
  Tick tick_ = 0;
  bool alarmed_ = false;
};

TEST_F(HandMade, OneBadAnswerAlarmsButConvictsNobody) {
  for (ValueId i = 0; i < 300; ++i) ASSERT_FALSE(window({{at(1 + i % 3, 1 + i % 5), false}}));
  ASSERT_FALSE(window({{at(1, 1), true}}));
  EXPECT_TRUE(alarmed_);
  EXPECT_TRUE(attribution_.running());
  // Clean answers around it leave one slice far ahead, but on the word of a single answer.
  for (ValueId i = 0; i < 120; ++i) ASSERT_FALSE(window({{at(1 + i % 3, 2 + i % 4), false}}));
  EXPECT_TRUE(attribution_.running());
}

TEST_F(HandMade, WhatAllServersShareIsNoPartOfTheName) {
  const auto server = [](ValueId i) {
    Coordinates where;
    where[Attribute::endpoint] = 1 + i % 4;
    where[Attribute::fingerprint] = 1;
    where[Attribute::version] = 1 + i % 2;
    return where;
  };
  for (ValueId i = 0; i < 60; ++i) ASSERT_FALSE(window({{server(i), false}}));
  std::optional<Culprit> culprit;
  for (ValueId i = 0; i < 60 && !culprit; ++i) culprit = window({{server(i), i % 2 == 1}});
  ASSERT_TRUE(culprit);
  const Slice::Term version[] = {{Attribute::version, 2}};
  EXPECT_EQ(culprit->slice, Slice(version));
}

// One clean answer of long ago tells "the endpoint" from "the endpoint as it is now". While they were rivals,
// neither was ever far enough ahead.
TEST_F(HandMade, WhatDiffersInThePastAloneIsNoRival) {
  const auto server = [](ValueId i, ValueId fingerprint) {
    Coordinates where;
    where[Attribute::endpoint] = 1 + i % 2;
    where[Attribute::fingerprint] = fingerprint;
    return where;
  };
  for (ValueId i = 0; i < 2; ++i) ASSERT_FALSE(window({{server(i, 1), false}}));
  std::optional<Culprit> culprit;
  ValueId sent = 0;
  for (; sent < 1000 && !culprit; ++sent) culprit = window({{server(sent, 2), sent % 10 == 1}});
  ASSERT_TRUE(culprit);
  const Slice::Term endpoint[] = {{Attribute::endpoint, 2}};
  EXPECT_EQ(culprit->slice, Slice(endpoint));
  EXPECT_LT(sent, 500u);
}

// For a while all answers come from some of the servers, as when the others are out: then whatever holds all
// has the same traffic as these. To act on: what had least of it, and says which servers.
TEST_F(HandMade, WhatHeldMoreBeforeIsNotBlamedForTheSameTraffic) {
  const auto server = [](ValueId hardware, ValueId batch) {
    Coordinates where;
    where[Attribute::fingerprint] = 1;
    where[Attribute::hardware] = hardware;
    where[Attribute::batch_size] = batch;
    return where;
  };
  for (ValueId i = 0; i < 400; ++i) ASSERT_FALSE(window({{server(1 + i % 2, 1), false}}));
  std::optional<Culprit> culprit;
  for (ValueId i = 0; i < 1000 && !culprit; ++i) culprit = window({{server(2, 2), i % 10 == 0}});
  ASSERT_TRUE(culprit);
  const Slice::Term hardware[] = {{Attribute::hardware, 2}};
  EXPECT_EQ(culprit->slice, Slice(hardware));
}

TEST_F(HandMade, SameTrafficIsOneCulpritNamedByTheSmallestAction) {
  for (ValueId i = 0; i < 60; ++i) ASSERT_FALSE(window({{at(1 + i % 3, 1 + i % 5), false}}));
  std::optional<Culprit> culprit;
  for (ValueId i = 0; i < 30 && !culprit; ++i) culprit = window({{at(1 + i % 3, 1 + i % 5), i % 3 == 0}});
  ASSERT_TRUE(culprit);
  const Slice::Term endpoint[] = {{Attribute::endpoint, 1}}, version[] = {{Attribute::version, 1}};
  EXPECT_EQ(culprit->slice, Slice(endpoint));
  EXPECT_NE(std::ranges::find(culprit->same_traffic, Slice(version)), culprit->same_traffic.end());
  EXPECT_GE(culprit->onset + 10, 61u);
  EXPECT_GE(culprit->log_lead, std::log(1000));
  EXPECT_FALSE(attribution_.running()) << "nothing is left";
  // Its further bad answers accuse nobody else.
  for (ValueId i = 0; i < 60; ++i) EXPECT_FALSE(window({{at(1 + i % 3, 1 + i % 5), i % 3 == 0}}));
  EXPECT_FALSE(attribution_.running());
}

}  // namespace
}  // namespace truekeel::evidence
