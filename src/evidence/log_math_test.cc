// SPDX-License-Identifier: Apache-2.0
#include "evidence/log_math.h"

#include <gtest/gtest.h>

#include <cmath>

namespace truekeel::evidence {
namespace {

// The errors that e_detector.cc allows for; beyond them its rounding would no longer point down.
TEST(LogMath, ErrorsStayWithinTheStatedOnes) {
  double exp_error = 0, log_error = 0, softplus_error = 0;
  for (int i = -400'000; i <= 400'000; ++i) {
    const auto x = static_cast<float>(i) * 2e-4f;  // -80 .. 80
    const double exact = std::exp(static_cast<double>(x));
    exp_error = std::max(exp_error, std::abs(fast_exp(x) / exact - 1));
    const double softplus_exact = std::max(x, 0.0f) + std::log1p(std::exp(-std::abs(static_cast<double>(x))));
    // Above 4 the sum itself is rounded to float, an error the caller has with any function.
    if (x < 4) softplus_error = std::max(softplus_error, std::abs(softplus(x) - softplus_exact));
    const auto y = static_cast<float>(exact);
    if (y > 1e-30f && y < 1e30f) {
      const double scale = std::max(1.0, std::abs(std::log(static_cast<double>(y))));
      log_error = std::max(log_error, std::abs(fast_log(y) - std::log(static_cast<double>(y))) / scale);
    }
  }
  EXPECT_LT(exp_error, 4e-7);
  EXPECT_LT(log_error, 3e-7);
  EXPECT_LT(softplus_error, 4e-7);
}

TEST(LogMath, ExtremesAreTame) {
  EXPECT_EQ(fast_exp(-200.0f), 0.0f);
  EXPECT_EQ(fast_exp(kLogZero), 0.0f);
  EXPECT_EQ(softplus(kLogZero), 0.0f);
  EXPECT_EQ(softplus(1e6f), 1e6f);
}

}  // namespace
}  // namespace truekeel::evidence
