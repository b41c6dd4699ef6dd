// SPDX-License-Identifier: Apache-2.0
#include "select/rounding.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/philox.h"

namespace truekeel::select {
namespace {

TEST(Rounding, WhatATypeHoldsStays) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const float half = widen_f16(static_cast<std::uint16_t>(bits)),
                brain = widen_bf16(static_cast<std::uint16_t>(bits));
    if (!std::isnan(half)) ASSERT_EQ(round_to(DType::f16, half), half);
    if (!std::isnan(brain)) ASSERT_EQ(round_to(DType::bf16, brain), brain);
  }
}

/// The nearest of all values of a type, ties to the even bits.
float nearest(DType dtype, float value) {
  const auto widen = [&](std::uint32_t bits) {
    return dtype == DType::f16 ? widen_f16(static_cast<std::uint16_t>(bits))
                               : widen_bf16(static_cast<std::uint16_t>(bits));
  };
  const std::uint32_t infinity = dtype == DType::f16 ? 0x7c00 : 0x7f80;
  std::uint32_t below = 0;
  for (std::uint32_t step = 1u << 14; step > 0; step /= 2)
    if (below + step < infinity && widen(below + step) <= std::fabs(value)) below += step;
  const double low = widen(below), magnitude = std::fabs(value);
  const double high =
      below + 1 == infinity ? std::ldexp(1.0, dtype == DType::f16 ? 16 : 128) : widen(below + 1);
  const bool up =
      magnitude - low > high - magnitude || (magnitude - low == high - magnitude && below % 2 == 1);
  return std::copysign(widen(below + (up ? 1 : 0)), value);
}

TEST(Rounding, IsToNearestTiesToEven) {
  PhiloxStream random(3);
  for (int i = 0; i < 200000; ++i) {
    auto bits = static_cast<std::uint32_t>(random.next());
    if (i % 3 == 0) bits &= 0xffff1000;  // many ties
    const auto value = std::bit_cast<float>(bits);
    if (!std::isfinite(value)) continue;
    for (const DType dtype : {DType::f16, DType::bf16})
      ASSERT_EQ(std::bit_cast<std::uint32_t>(round_to(dtype, value)),
                std::bit_cast<std::uint32_t>(nearest(dtype, value)))
          << std::hex << bits;
  }
}

TEST(Rounding, Fp32IsLeftAlone) { EXPECT_EQ(round_to(DType::f32, 1.00001f), 1.00001f); }

}  // namespace
}  // namespace truekeel::select
