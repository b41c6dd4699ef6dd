// SPDX-License-Identifier: Apache-2.0
#include "conformance/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace truekeel::conformance {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

std::vector<float> logs(const std::vector<double>& shares) {
  std::vector<float> logits;
  for (double share : shares) logits.push_back(static_cast<float>(std::log(share)));
  return logits;
}

std::vector<TokenId> support(const Row& row, const Semantics& semantics = {}) {
  const Reference exact = reference(row, semantics);
  std::vector<TokenId> ids;
  for (std::size_t id = 0; id < exact.probability.size(); ++id)
    if (exact.probability[id] > 0) ids.push_back(static_cast<TokenId>(id));
  return ids;
}

TEST(Reference, IsTheSoftmaxOfWhatIsAllowed) {
  const Reference exact = reference({.logits = {0, kForbidden, std::log(3.F)}}, {});
  EXPECT_THAT(exact.probability, ElementsAre(DoubleNear(.25, 1e-7), 0, DoubleNear(.75, 1e-7)));
}

TEST(Reference, DividesByTemperature) {
  const Row row{.logits = {0, 2 * std::log(3.F)}, .params = {.temperature = 2}};
  EXPECT_NEAR(reference(row, {}).probability[1], .75, 1e-7);
}

TEST(Reference, CutsTopKTiesAsDeclared) {
  const Row row{.logits = {3, 1, 2, 2, 2, 0}, .params = {.top_k = 3}};
  EXPECT_THAT(support(row, {.top_k_ties = Ties::by_id}), ElementsAre(0, 2, 3));
  EXPECT_THAT(support(row, {.top_k_ties = Ties::keep_all}), ElementsAre(0, 2, 3, 4));
  const Reference open = reference(row, {.top_k_ties = Ties::any});
  EXPECT_THAT(open.tied, ElementsAre(2, 3, 4));
  EXPECT_EQ(open.tied_kept, 2U);
}

TEST(Reference, StopsTopPAtOrBeyondTheBoundaryAsDeclared) {
  const Row row{.logits = {0, 0, 0, 0}, .params = {.top_p = .5F}};
  EXPECT_THAT(support(row, {.top_p_rule = TopPRule::reaches}), ElementsAre(0, 1));
  EXPECT_THAT(support(row, {.top_p_rule = TopPRule::exceeds}), ElementsAre(0, 1, 2));
}

TEST(Reference, TakesTopPOfTheDeclaredMass) {
  // Of the three kept tokens .4 is half; of all it is less than half.
  const Row row{.logits = logs({.4, .2, .2, .2}), .params = {.top_k = 3, .top_p = .45F}};
  EXPECT_THAT(support(row, {.top_p_mass = TopPMass::kept}), ElementsAre(0));
  EXPECT_THAT(support(row, {.top_p_mass = TopPMass::vocabulary}), ElementsAre(0, 1));
}

TEST(Reference, FollowsTheOrderOfTheChain) {
  const Row row{.logits = logs({.64, .3, .06}), .params = {.temperature = 2, .top_p = .6F}};
  EXPECT_THAT(support(row, {.chain = {Step::top_p, Step::temperature}}), ElementsAre(0));
  EXPECT_THAT(support(row, {.chain = {Step::temperature, Step::top_p}}), ElementsAre(0, 1));
}

TEST(Reference, PenalisesOncePerTokenAndPerOccurrence) {
  const Row row{.logits = {2, -2, 1},
                .params = {.presence = 1, .frequency = .5F, .repetition = 2},
                .history = {0, 0, 1}};
  // 2 / 2 - 1 - 2 * .5 = -1;   -2 * 2 - 1 - .5 = -5.5.
  const double total = std::exp(-1) + std::exp(-5.5) + std::exp(1);
  const Reference exact = reference(row, {});
  EXPECT_NEAR(exact.probability[0], std::exp(-1) / total, 1e-12);
  EXPECT_NEAR(exact.probability[1], std::exp(-5.5) / total, 1e-12);
}

TEST(Reference, MinPIsRelativeToTheTop) {
  EXPECT_THAT(support({.logits = logs({.5, .26, .24}), .params = {.min_p = .5F}}), ElementsAre(0, 1));
}

TEST(Reference, TemperatureZeroIsGreedy) {
  EXPECT_THAT(support({.logits = {1, 3, 3}, .params = {.temperature = 0}}), ElementsAre(1));
  EXPECT_EQ(
      reference({.logits = {1, 3, 3}, .params = {.temperature = 0}}, {.greedy_ties = Ties::any}).tied.size(),
      2U);
}

TEST(Rounded, IsNearestEvenInEachDtype) {
  EXPECT_EQ(rounded(1 + 0x1p-8F, Dtype::bf16), 1);                // halfway, to even
  EXPECT_EQ(rounded(1 + 3 * 0x1p-8F, Dtype::bf16), 1 + 0x1p-6F);  // halfway, to even
  EXPECT_EQ(rounded(1 + 0x1p-11F, Dtype::fp16), 1);
  EXPECT_EQ(rounded(0x1p-24F, Dtype::fp16), 0x1p-24F);  // the smallest
  EXPECT_EQ(rounded(0x1p-26F, Dtype::fp16), 0);
  EXPECT_EQ(rounded(7e4F, Dtype::fp16), INFINITY);
  EXPECT_EQ(rounded(kForbidden, Dtype::bf16), kForbidden);
  EXPECT_EQ(rounded(.1F, Dtype::fp32), .1F);
}

}  // namespace
}  // namespace truekeel::conformance
