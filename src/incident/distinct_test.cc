// SPDX-License-Identifier: Apache-2.0
#include "incident/distinct.h"

#include <gtest/gtest.h>

#include "base/philox.h"

namespace truekeel::incident {
namespace {

constexpr std::uint64_t kSeed = 20260101;

TEST(Distinct, EstimatesWithinFourStandardErrors) {
  for (const std::size_t sessions : {1u, 10u, 500u, 3'000u, 20'000u, 300'000u}) {
    PhiloxStream hashes(kSeed, static_cast<std::uint32_t>(sessions));
    Distinct distinct;
    for (std::size_t i = 0; i < sessions; ++i) distinct.add(hashes.next());
    const auto n = static_cast<double>(sessions);
    EXPECT_NEAR(distinct.estimate(), n, 0.5 + 4 * 0.033 * n) << sessions << " sessions, seed " << kSeed;
  }
}

TEST(Distinct, NothingIsNothingAndRepetitionCountsOnce) {
  Distinct distinct;
  EXPECT_EQ(distinct.estimate(), 0);
  for (int i = 0; i < 1000; ++i) distinct.add(0x123456789abcdef0);
  EXPECT_NEAR(distinct.estimate(), 1, 0.01);
}

TEST(Distinct, MergingIsAddingBoth) {
  PhiloxStream hashes(kSeed);
  Distinct a, b, both;
  for (int i = 0; i < 4000; ++i) {
    const auto hash = hashes.next();
    (i % 3 == 0 ? a : b).add(hash);
    both.add(hash);
  }
  a.merge(b);
  EXPECT_EQ(a.estimate(), both.estimate());
}

}  // namespace
}  // namespace truekeel::incident
