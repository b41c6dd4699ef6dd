// SPDX-License-Identifier: Apache-2.0
#include "evidence/vector_distance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/philox.h"
#include "evidence/confidence.h"

namespace truekeel::evidence {
namespace {

TEST(Confidence, MatchesPublishedAndClosedForms) {
  // Without events: 1 - (1 - c)^(1/n), about ln(1 / (1 - c)) / n.
  EXPECT_NEAR(rate_upper_bound(0, 5137, 0.99), 1 - std::pow(0.01, 1.0 / 5137), 1e-12);
  EXPECT_NEAR(rate_upper_bound(0, 1'000'000, 0.99), std::log(100.0) / 1e6, 1e-9);
  // Clopper-Pearson 95 % two-sided for 3 of 20 is (.0321, .3789).
  EXPECT_NEAR(rate_lower_bound(3, 20, 0.975), 0.0321, 5e-5);
  EXPECT_NEAR(rate_upper_bound(3, 20, 0.975), 0.3789, 5e-5);
  EXPECT_EQ(rate_upper_bound(0, 0, 0.99), 1);
  EXPECT_EQ(rate_lower_bound(0, 10, 0.99), 0);
  EXPECT_NEAR(count_upper_bound(0, 0.99), std::log(100.0), 1e-9);
}

TEST(VectorDistance, TooFewCleanItemsAreAnErrorThatSaysHowMany) {
  const auto result = conformal_threshold(std::vector<double>(999, 0.1), 1e-3, 0.5);
  EXPECT_TRUE(result);  // ln 2 / 1e-3 = 693 suffice at confidence one half
  const auto few = conformal_threshold(std::vector<double>(999, 0.1), 1e-3, 0.99);
  ASSERT_FALSE(few);
  EXPECT_NE(few.error().message.find("give 4603"), std::string::npos) << few.error().message;
  EXPECT_FALSE(conformal_threshold({}, 1e-3, 0.5));
}

TEST(VectorDistance, CleanItemsPassWithTheStatedConfidence) {
  constexpr std::uint64_t kSeed = 29;
  PhiloxStream random(kSeed);
  constexpr double kU = 0.01, kConfidence = 0.9;
  int broken = 0;
  constexpr int kRuns = 400;
  for (int run = 0; run < kRuns; ++run) {
    std::vector<double> clean;
    for (int i = 0; i < 800; ++i) clean.push_back(random.uniform());
    const auto threshold = conformal_threshold(clean, kU, kConfidence);
    ASSERT_TRUE(threshold);
    EXPECT_LE(threshold->null_rate, kU);
    broken += 1 - threshold->distance > threshold->null_rate;  // the true rate of flags under a uniform law
  }
  EXPECT_LE(broken, 0.1 * kRuns + 3 * std::sqrt(0.09 * kRuns));
  EXPECT_GT(broken, 10) << "a bound that never fails at confidence .9 is not tight";
}

TEST(VectorDistance, IsTheMeanOfAbsoluteDifferences) {
  const float a[] = {-0.5f, -1.0f, -3.0f}, b[] = {-0.5f, -1.5f, -2.0f};
  EXPECT_DOUBLE_EQ(mean_distance(a, b), 0.5);
  EXPECT_EQ(mean_distance(a, a), 0);
}

}  // namespace
}  // namespace truekeel::evidence
