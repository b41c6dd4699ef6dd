// SPDX-License-Identifier: Apache-2.0
#include "conformance/stats.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/philox.h"

namespace truekeel::conformance {
namespace {

std::vector<std::uint64_t> draw(PhiloxStream& random, const std::vector<double>& probability,
                                std::uint64_t draws) {
  std::vector<std::uint64_t> counts(probability.size());
  for (std::uint64_t i = 0; i < draws; ++i) {
    double left = random.uniform();
    std::size_t cell = 0;
    while (cell + 1 < probability.size() && left >= probability[cell]) left -= probability[cell++];
    ++counts[cell];
  }
  return counts;
}

TEST(Divergence, IsZeroWhereSharesAreMetAndGrowsWithDraws) {
  const std::vector<double> half = {.5, .5};
  EXPECT_EQ(divergence(std::vector<std::uint64_t>{50, 50}, half), 0);
  // 100 draws of one side: 100 ln 2.
  EXPECT_NEAR(divergence(std::vector<std::uint64_t>{100, 0}, half), 100 * std::log(2), 1e-9);
}

TEST(Threshold, IsWhereTheBoundMeetsAlpha) {
  for (std::size_t cells : {2UL, 3UL, 16UL, 64UL})
    for (double alpha : {1e-2, 1e-6, 1e-9}) {
      const double limit = threshold(cells, alpha);
      EXPECT_NEAR(log_p_bound(limit, cells), std::log(alpha), 1e-6) << cells << " cells, alpha " << alpha;
      EXPECT_GT(limit, static_cast<double>(cells - 1));
    }
}

TEST(Threshold, ErrsAtMostAlphaEvenWithFewDraws) {
  // The bound is a theorem for every number of draws: few draws over uneven cells, many tries.
  constexpr double kAlpha = .05;
  constexpr int kTries = 4000;
  PhiloxStream random(20'240'601);
  for (std::uint64_t draws : {5U, 50U, 500U}) {
    const std::vector<double> probability = {.6, .3, .09, .0099, .0001};
    const double limit = threshold(probability.size(), kAlpha);
    int rejected = 0;
    for (int i = 0; i < kTries; ++i)
      rejected += divergence(draw(random, probability, draws), probability) >= limit;
    EXPECT_LT(rejected, kTries * kAlpha) << draws << " draws, seed 20240601";
  }
}

TEST(Power, IsReachedByTheShareItNames) {
  constexpr std::uint64_t kDraws = 2000;
  constexpr int kTries = 2000;
  PhiloxStream random(7);
  for (double q : {.5, .05}) {
    const double limit = threshold(2, 1e-6);
    const Power found = power(q, kDraws, limit);
    for (double actual : {found.above, found.below}) {
      int rejected = 0;
      for (int i = 0; i < kTries; ++i)
        rejected +=
            divergence(draw(random, {actual, 1 - actual}, kDraws), std::vector<double>{q, 1 - q}) >= limit;
      // 99 % declared; five standard deviations of the simulation below it.
      EXPECT_GT(rejected, kTries * .979) << "share " << actual << " for " << q << ", seed 7";
    }
  }
}

TEST(Power, SaysWhenNothingWouldBeFound) {
  // 20 draws expect 0.02 of these: even none at all is no evidence.
  EXPECT_LT(power(.001, 20, threshold(2, 1e-6)).below, 0);
  // Two draws prove nothing about a coin, whatever its bias.
  const Power coin = power(.5, 2, threshold(2, 1e-6));
  EXPECT_GT(coin.above, 1);
  EXPECT_LT(coin.below, 0);
}

TEST(Pool, GivesHeavyTokensCellsAndCoversTheRestById) {
  std::vector<double> probability(1000, .3 / 998);
  probability[10] = .4;
  probability[500] = .3;
  const Cells cells = pool(probability, {}, 10'000);
  EXPECT_NE(cells.of_token[10], cells.of_token[500]);
  EXPECT_LE(cells.probability.size(), 64U);
  EXPECT_GT(cells.probability.size(), 20U);
  double sum = 0;
  for (double share : cells.probability) sum += share;
  EXPECT_NEAR(sum, 1, 1e-12);
  // Pools are runs of ids: a hole in the vocabulary empties whole cells.
  EXPECT_EQ(cells.of_token[0], cells.of_token[1]);
  EXPECT_NE(cells.of_token[0], cells.of_token[999]);
}

TEST(Pool, MarksImpossibleTokensAndJoinsTiedOnes) {
  const std::vector<double> probability = {.5, 0, .25, .25, 0};
  const std::vector<std::int32_t> tied = {3, 4};
  const Cells cells = pool(probability, tied, 1000);
  EXPECT_EQ(cells.of_token[1], Cells::kImpossible);
  EXPECT_EQ(cells.of_token[3], cells.of_token[4]);
  EXPECT_EQ(cells.probability[cells.of_token[3]], .25);
}

}  // namespace
}  // namespace truekeel::conformance
