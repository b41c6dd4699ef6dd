// SPDX-License-Identifier: Apache-2.0
#include "evidence/mean_bounds.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/philox.h"
#include "evidence/confidence.h"

namespace truekeel::evidence {
namespace {

TEST(MeanBounds, SayNothingBeforeTheFirstValueAndCloseInOnTheMean) {
  MeanBounds bounds(-0.2, 0.6);
  EXPECT_NEAR(bounds.lower(0.05), -0.2, 1e-9);
  EXPECT_NEAR(bounds.upper(0.05), 0.6, 1e-9);
  for (int i = 0; i < 400; ++i) bounds.add(i % 2 == 0 ? 0.0 : 0.2);
  EXPECT_NEAR(bounds.mean(), 0.1, 1e-12);
  EXPECT_GT(bounds.lower(0.05), 0.04);
  EXPECT_LT(bounds.upper(0.05), 0.16);
}

TEST(MeanBounds, CountValuesBeyondTheEndsAsTheEnds) {
  MeanBounds bounds(0, 1);
  bounds.add(7);
  bounds.add(-7);
  EXPECT_EQ(bounds.mean(), 0.5);
}

TEST(MeanBounds, AgreeWithTheEvidenceThatTheyStandFor) {
  MeanBounds bounds(0, 1);
  for (int i = 0; i < 60; ++i) bounds.add(0.4 + 0.01 * (i % 10));
  EXPECT_NEAR(bounds.log_evidence_above(bounds.lower(0.01)), std::log(100), 1e-6);
  EXPECT_NEAR(bounds.log_evidence_below(bounds.upper(0.01)), std::log(100), 1e-6);
}

/// Values in [0, 1] with this mean: mostly small ones, as distances are, or coins.
double draw(PhiloxStream& random, double mean, bool coins) {
  const double uniform = random.uniform();
  if (coins) return uniform < mean ? 1 : 0;
  return std::min(1.0, -mean * std::log(1 - uniform) * (1 - std::exp(-1 / mean)));
}

TEST(MeanBounds, AreEverWrongInAtMostTheStatedShareOfRuns) {
  constexpr double kError = 0.05, kMean = 0.25;
  constexpr std::uint64_t kRuns = 600;
  for (const bool coins : {false, true}) {
    std::uint64_t above = 0, below = 0;
    for (std::uint64_t run = 0; run < kRuns; ++run) {
      PhiloxStream random(run, coins ? 1 : 0);
      MeanBounds bounds(0, 1);
      bool over = false, under = false;
      for (int i = 0; i < 100; ++i) {
        bounds.add(draw(random, kMean, coins));
        over = over || bounds.log_evidence_above(kMean) >= std::log(1 / kError);
        under = under || bounds.log_evidence_below(kMean) >= std::log(1 / kError);
      }
      above += over;
      below += under && coins;  // the clipped law's mean is a little below kMean
    }
    EXPECT_LE(rate_lower_bound(above, kRuns, 0.99), kError) << above << " of " << kRuns;
    EXPECT_LE(rate_lower_bound(below, kRuns, 0.99), kError) << below << " of " << kRuns;
  }
}

}  // namespace
}  // namespace truekeel::evidence
