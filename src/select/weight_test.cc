// SPDX-License-Identifier: Apache-2.0
#include "select/weight.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace truekeel::select {
namespace {

/// The weight at a distance z, in units of 2^-24 of an octave, that fp32 holds exactly.
std::uint64_t weight_at(float z) { return weight_of(-z, {0, 1}); }

TEST(Weight, TheTopWeighsOneAndEachOctaveHalves) {
  for (int octave = 0; octave <= 44; ++octave)
    EXPECT_EQ(weight_at(static_cast<float>(octave) * kExponentOne), kWeightMax >> octave);
  EXPECT_EQ(weight_at(45 * kExponentOne), 0u);
  EXPECT_EQ(weight_at(std::numeric_limits<float>::infinity()), 0u);
}

// Every fraction of an octave: the mantissa never grows, and stays within the error that the documents state.
TEST(Weight, NeverGrowsWithTheDistanceAndStaysNearTheExponential) {
  std::uint64_t last = kWeightMax;
  double worst = 0;
  for (std::uint32_t fraction = 0; fraction <= 1u << 24; ++fraction) {
    const std::uint64_t weight = weight_at(static_cast<float>(fraction));
    ASSERT_LE(weight, last) << fraction;
    last = weight;
    if (fraction % 64 == 0)
      worst = std::max(worst,
                       std::fabs(static_cast<double>(weight) * 0x1p-44 * std::exp2(fraction * 0x1p-24) - 1));
  }
  EXPECT_LT(worst, std::exp2(-21.9));
}

// Down to weights of one unit: the error that the documents state, and less than one unit of truncation.
TEST(Weight, StaysWithinTheStatedErrorAtEveryDistance) {
  constexpr std::uint64_t kSeed = 5;
  constexpr double kLn2 = 0.6931471805599453;
  const float max = 17.25f;
  PhiloxStream random(kSeed);
  for (int octave = 0; octave < 44; ++octave)
    for (int i = 0; i < 2000; ++i) {
      const auto x = static_cast<float>(max - (octave + random.uniform()) * kLn2);
      const double exact = std::exp(static_cast<double>(x) - static_cast<double>(max)) * 0x1p44;
      const double error = std::fabs(static_cast<double>(weight_of(x, Scale::of(max, 1))) - exact);
      ASSERT_LT(error, exact * (std::exp2(-21.9) + (octave + 1) * 3 * 0x1p-24) + 1)
          << "seed " << kSeed << ", " << octave << " octaves, x " << x;
    }
}

TEST(Weight, ScaleTakesTheWholeRangeOfTemperatures) {
  EXPECT_EQ(weight_of(0, Scale::of(1e-30f, kTemperatureMin)), kWeightMax);  // 1e-30 / 2^-64: nothing
  EXPECT_EQ(weight_of(0, Scale::of(1, kTemperatureMin)), 0u);
  EXPECT_EQ(weight_of(-1e10f, Scale::of(1e10f, kTemperatureMax)), kWeightMax);
  EXPECT_EQ(weight_of(-3e38f, Scale::of(3e38f, 1)), 0u);
}

TEST(Share, IsTheExactCeiling) {
  EXPECT_EQ(share_of(0, 100), 0u);
  EXPECT_EQ(share_of(1, 100), 100u);
  EXPECT_EQ(share_of(0.5, 101), 51u);
  EXPECT_EQ(share_of(1e-300, 1ull << 63), 1u);
  EXPECT_EQ(share_of(5e-324, 1), 1u);
  EXPECT_EQ(share_of(std::nextafter(1.0, 0.0), 1ull << 63), (1ull << 63) - (1ull << 10));
  EXPECT_EQ(share_of(0.9, 10), 10u);  // the double nearest to .9 is above it
}

TEST(Share, TheLastBitsReachTheLastPoint) {
  EXPECT_EQ(scale_bits(~0ull, 7), 6u);
  EXPECT_EQ(scale_bits(0, 7), 0u);
  EXPECT_EQ(scale_bits(~0ull, ~0ull), ~0ull - 1);
}

}  // namespace
}  // namespace truekeel::select
