// SPDX-License-Identifier: Apache-2.0
#include "select/key.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "select/blocks.h"

namespace truekeel::select {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Key, AscendsWithTheValueAndMergesBothZeros) {
  const std::array<float, 10> ascending = {-kInf, -3e38f, -1, -1e-45f, 0, 1e-45f, 1e-38f, 1, 3e38f, kInf};
  for (std::size_t i = 1; i < ascending.size(); ++i) {
    EXPECT_LT(key_of(ascending[i - 1]), key_of(ascending[i]));
    EXPECT_LT(ordinal_of(ascending[i - 1]), ordinal_of(ascending[i]));
  }
  EXPECT_EQ(key_of(-0.0f), key_of(0.0f));
  EXPECT_EQ(ordinal_of(-0.0f), ordinal_of(0.0f));
}

TEST(Key, GoesThereAndBack) {
  for (const float value : {-kInf, -2.5f, -1e-40f, 0.0f, 1e-40f, 7.25f, kInf}) {
    EXPECT_EQ(value_of(key_of(value)), value);
    EXPECT_EQ(value_of_ordinal(ordinal_of(value)), value);
    EXPECT_EQ(key_of_ordinal(ordinal_of(value)), key_of(value));
  }
}

/// What fp16 bits mean, by the definition.
float meaning(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 0x3ff;
  const float magnitude = exponent == 31  ? (mantissa == 0 ? kInf : std::nanf(""))
                          : exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                                          : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Widen, EveryHalf) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const float expected = meaning(static_cast<std::uint16_t>(bits)),
                got = widen_f16(static_cast<std::uint16_t>(bits));
    if (std::isnan(expected))
      ASSERT_TRUE(std::isnan(got)) << bits;
    else
      ASSERT_EQ(std::bit_cast<std::uint32_t>(got), std::bit_cast<std::uint32_t>(expected)) << bits;
  }
  EXPECT_EQ(widen_bf16(0x3fc0), 1.5f);
}

}  // namespace
}  // namespace truekeel::select
