// SPDX-License-Identifier: Apache-2.0
#include "evidence/explanation.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <vector>

namespace truekeel::evidence {
namespace {

constexpr std::size_t kItems = 100;
const std::vector<float> kWeights(kItems, 10.0f);

std::optional<double> unknown(std::size_t, std::size_t) { return std::nullopt; }

Hypothesis holding(double log_m, double cost, std::size_t from, std::size_t to) {
  Hypothesis hypothesis{.log_m = log_m, .cost = cost, .items = std::vector<std::uint64_t>(2)};
  for (std::size_t i = from; i < to; ++i) hypothesis.items[i / 64] |= 1ull << (i % 64);
  return hypothesis;
}

TEST(Explanation, ASingleFaultIsExplainedByItsSliceAlone) {
  // The slice, the pool around it (the same items, diluted), and a part of it.
  const Hypothesis all[] = {holding(500, 10, 0, 50), holding(450, 8, 0, 50), holding(250, 14, 0, 25)};
  const Explanation best = explain(all, kWeights, unknown);
  ASSERT_EQ(best.size, 1u);
  EXPECT_EQ(best.member[0].hypothesis, 0u);
  EXPECT_NEAR(best.member[0].lead, 490 - 442, 1e-9);
}

TEST(Explanation, TwoFaultsDoNotConvictWhatHoldsBoth) {
  // The pool holds the items of both endpoints, and beats each of them alone.
  const Hypothesis all[] = {holding(800, 8, 0, 100), holding(600, 12, 0, 60), holding(400, 12, 60, 100)};
  const Explanation best = explain(all, kWeights, unknown);
  ASSERT_EQ(best.size, 2u);
  EXPECT_EQ(best.member[0].hypothesis, 1u);
  EXPECT_EQ(best.member[1].hypothesis, 2u);
  EXPECT_NEAR(best.score, 588 + 388, 1e-9);
  // Without the first: the pool alone, or the second alone.
  EXPECT_NEAR(best.member[0].lead, best.score - 792, 1e-9);
}

TEST(Explanation, HalvesOfOneFaultAreNotTwo) {
  // Two halves with the evidence of the whole cost more to name.
  const Hypothesis all[] = {holding(500, 10, 0, 50), holding(255, 14, 0, 25), holding(255, 14, 25, 50)};
  const Explanation best = explain(all, kWeights, unknown);
  ASSERT_EQ(best.size, 1u);
  EXPECT_EQ(best.member[0].hypothesis, 0u);
}

TEST(Explanation, SharedItemsCountOnce) {
  const Hypothesis all[] = {holding(500, 10, 0, 50), holding(300, 10, 40, 70)};
  const Explanation best = explain(all, kWeights, unknown);
  ASSERT_EQ(best.size, 2u);
  EXPECT_NEAR(best.member[1].added, 300 * (20.0 / 30) - 10, 1e-9);
}

// A weak fault takes long, and chance accuses everywhere meanwhile: by its items alone, what holds the faulty
// slice and much else had more than half of its evidence from elsewhere.
TEST(Explanation, WhatIsKnownToHaveNoEvidenceElsewhereIsNoSecondFault) {
  const Hypothesis all[] = {holding(82, 11, 0, 20), holding(60, 8, 0, 60)};
  EXPECT_EQ(explain(all, kWeights, unknown).size, 2u) << "the items alone say two";
  const auto outside = [](std::size_t of, std::size_t) { return of == 1 ? -22.0 : 82.0; };
  const Explanation best = explain(all, kWeights, outside);
  ASSERT_EQ(best.size, 1u);
  EXPECT_EQ(best.member[0].hypothesis, 0u);
  EXPECT_NEAR(best.member[0].lead, 71 - 52, 1e-9);
}

}  // namespace
}  // namespace truekeel::evidence
