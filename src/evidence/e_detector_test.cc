// SPDX-License-Identifier: Apache-2.0
#include "evidence/e_detector.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/philox.h"
#include "evidence/gate.h"
#include "evidence/ratio_bets.h"
#include "evidence/two_arm.h"

namespace truekeel::evidence {
namespace {

TEST(RatioBets, AddsTheLogOfEachFactorAndRoundsDown) {
  const RatioBets bets(3);
  std::vector<float> sums(bets.cells());
  const double ratios[] = {0, kNeutral, 1000};
  bets.add(ratios, sums);
  for (std::size_t cell = 0; cell < bets.cells(); ++cell) {
    const double rate = bets.rate_of(cell), ratio = ratios[bets.alternative_of(cell)];
    const double exact = std::log(1 - rate + rate * ratio);
    EXPECT_LE(sums[cell], exact);
    EXPECT_NEAR(sums[cell], exact, 3e-6);
  }
}

TEST(RatioBets, LostItemsEnterAtTheLowestFactorThereIs) {
  const RatioBets bets(2);
  std::vector<float> lost(bets.cells()), worst(bets.cells());
  bets.add_lost(7, lost);
  const double none[] = {0, 0};
  for (int i = 0; i < 7; ++i) bets.add(none, worst);
  for (std::size_t cell = 0; cell < bets.cells(); ++cell) EXPECT_NEAR(lost[cell], worst[cell], 1e-4);
}

TEST(Detector, FollowsTheRecursionOfTheLiterature) {
  // M <- (M + 1) E in double precision, beside the log-space detector whose G is M / A.
  const RatioBets bets(1);
  constexpr double kThreshold = 1e9;
  PhiloxStream random(1);
  Detector detector(bets.log_weights());
  std::vector<double> m(bets.cells(), 0.0);
  std::vector<float> sums(bets.cells());
  for (Tick tick = 1; tick <= 3000; ++tick) {
    std::ranges::fill(sums, 0.0f);
    const double ratio = random.uniform() < 0.02 ? 40 : 0.2;
    bets.add({&ratio, 1}, sums);
    double mixture = 0;
    for (std::size_t cell = 0; cell < m.size(); ++cell) {
      const double rate = bets.rate_of(cell);
      m[cell] = (m[cell] + 1) * (1 - rate + rate * ratio);
      mixture += m[cell] / static_cast<double>(m.size());
    }
    ASSERT_FALSE(detector.update(sums, -std::log(kThreshold), tick));
    const double log_m = detector.log_evidence() + std::log(kThreshold);
    ASSERT_LE(log_m, std::log(mixture) + 1e-6) << "not rounded down";
    ASSERT_NEAR(log_m, std::log(mixture), 0.05);
  }
}

TEST(Detector, AlarmsAtItsThresholdStartsAfreshAndDatesTheOnset) {
  const RatioBets bets(1);
  Detector detector(bets.log_weights());
  std::vector<float> quiet(bets.cells()), loud(bets.cells());
  const double none = 0, hit = 1e4;
  bets.add({&none, 1}, quiet);
  bets.add({&hit, 1}, loud);
  Tick tick = 0;
  while (tick < 2000) ASSERT_FALSE(detector.update(quiet, -20, ++tick));
  const Tick change = tick + 1;
  do {
    ASSERT_LT(++tick, 2400u);
  } while (!detector.update(tick % 20 == 0 ? loud : quiet, -20, tick));
  EXPECT_GE(detector.onset() + 20, change);
  EXPECT_LE(detector.onset(), change + 40);
  EXPECT_LT(detector.log_evidence(), -20);
}

TEST(Detector, AWindowWithoutAStakeSpendsNothing) {
  const RatioBets bets(1);
  Detector detector(bets.log_weights());
  std::vector<float> loud(bets.cells(), 5.0f);
  for (Tick tick = 1; tick < 100; ++tick) EXPECT_FALSE(detector.update(loud, kLogZero, tick));
  EXPECT_LT(detector.log_evidence(), -1e6);
}

TEST(Gate, RejectsATrueNullAtMostWithProbabilityAlpha) {
  constexpr std::uint64_t kSeed = 23;
  const RatioBets bets(1);
  PhiloxStream random(kSeed);
  int rejected = 0;
  constexpr int kRuns = 2000;
  for (int run = 0; run < kRuns; ++run) {
    Gate gate(bets.log_weights(), 0.05);
    std::vector<float> sums(bets.cells());
    for (int i = 0; i < 500 && !gate.rejected(); ++i) {
      std::ranges::fill(sums, 0.0f);
      const double ratio = random.uniform() < 0.05 ? 20 : 0;
      bets.add({&ratio, 1}, sums);
      gate.update(sums);
    }
    rejected += gate.rejected();
  }
  // 5 % of 2000 and three standard deviations; a gate that never rejects is none.
  EXPECT_LE(rejected, 100 + 30);
  EXPECT_GT(rejected, 10);
}

TEST(TwoArm, FactorsHaveMeanOneAndFindTheSlice) {
  const TwoArm arms;
  for (const double exposure : {0.001, 0.1, 0.7}) {
    std::vector<float> in(arms.cells()), out(arms.cells());
    arms.add(true, exposure, in);
    arms.add(false, exposure, out);
    for (std::size_t i = 0; i < arms.cells(); ++i)
      EXPECT_NEAR(exposure * std::exp(in[i]) + (1 - exposure) * std::exp(out[i]), 1, 1e-6);
  }
  // Ten times likelier in a tenth of the traffic: about 24 events at log A = 13.8.
  PhiloxStream random(2);
  Detector detector(arms.log_weights());
  std::vector<float> sums(arms.cells());
  Tick events = 0;
  do {
    std::ranges::fill(sums, 0.0f);
    arms.add(random.uniform() < 1.0 / 1.9, 0.1, sums);
    ASSERT_LT(events, 100u);
  } while (!detector.update(sums, -13.8, ++events));
  EXPECT_GT(events, 10u);
}

}  // namespace
}  // namespace truekeel::evidence
