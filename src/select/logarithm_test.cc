// SPDX-License-Identifier: Apache-2.0
#include "select/logarithm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/philox.h"

namespace truekeel::select {
namespace {

TEST(Logarithm, StaysWithinItsError) {
  PhiloxStream random(5);
  for (int i = 0; i < 100000; ++i) {
    const double value = std::ldexp(1 + random.uniform(), static_cast<int>(random.below(80)) - 20);
    const double exact = std::log(value);
    ASSERT_LE(std::fabs(natural_log(value) - exact), 1e-15 * std::max(1.0, std::fabs(exact))) << value;
  }
}

TEST(Logarithm, OfOneIsZero) { EXPECT_EQ(natural_log(1), 0); }

// Pinned: another value would break the equality of records between machines.
TEST(Logarithm, KeepsItsBits) { EXPECT_EQ(natural_log(10), 0x1.26bb1bbb55516p+1); }

}  // namespace
}  // namespace truekeel::select
