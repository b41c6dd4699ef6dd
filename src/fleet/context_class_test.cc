// SPDX-License-Identifier: Apache-2.0
#include "fleet/context_class.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/philox.h"

namespace truekeel::fleet {
namespace {

ModelConfig two_classes() {
  ModelConfig model;
  model.name = "m";
  model.default_max_output = 512;
  model.classes = {{"short", 2048, "short", 0}, {"long", 32768, "long", 1}};
  return model;
}

std::size_t chosen(const ContextPlan& plan) {
  const auto* found = std::get_if<ClassChosen>(&plan.outcome);
  return found != nullptr ? found->index : ~std::size_t{0};
}

TEST(ContextClass, WithoutALimitTheDefaultIsAddedAndTheCallStaysShort) {
  const auto model = two_classes();
  const auto plan = plan_context(model, {1, 100}, std::nullopt);
  EXPECT_EQ(plan.output, (OutputLimit{512, true}));
  EXPECT_EQ(chosen(plan), 0u);
  EXPECT_EQ(plan.counted, CountedBy::bound);
  EXPECT_EQ(plan_context(model, {1, 100}, 64).output, (OutputLimit{64, false}));
}

TEST(ContextClass, OneTokenOverTheBoundaryGoesToTheLongPool) {
  const auto model = two_classes();
  // 1536 + 512 = 2048.
  EXPECT_EQ(chosen(plan_context(model, TokenRange::exactly(1536), std::nullopt)), 0u);
  EXPECT_EQ(chosen(plan_context(model, TokenRange::exactly(1537), std::nullopt)), 1u);
  EXPECT_EQ(chosen(plan_context(model, TokenRange::exactly(1537), 511)), 0u);
}

TEST(ContextClass, AnExactCountIsAskedForOnlyWhereTheBoundsDisagree) {
  const auto model = two_classes();
  EXPECT_EQ(chosen(plan_context(model, {10, 1536}, std::nullopt)), 0u);
  EXPECT_EQ(chosen(plan_context(model, {1537, 9000}, std::nullopt)), 1u);

  const auto open = plan_context(model, {10, 1537}, std::nullopt);
  ASSERT_EQ(std::get<CountNeeded>(open.outcome), CountNeeded{1536});
  EXPECT_EQ(chosen(with_count(open, {1536, false})), 0u);
  EXPECT_EQ(chosen(with_count(open, {1537, false})), 1u);
  EXPECT_EQ(chosen(with_count(open, {1537, true})), 1u);
  EXPECT_EQ(with_count(open, {1536, false}).counted, CountedBy::exact);
  EXPECT_EQ(with_count(open, {1536, false}).prompt, TokenRange::exactly(1536));
  EXPECT_EQ(chosen(without_count(open)), 1u) << "the upper bound, never the lower";
  EXPECT_EQ(without_count(open).counted, CountedBy::uncounted);
}

TEST(ContextClass, AnUnknownLengthIsCountedElseItGoesToTheLargestClass) {
  const auto model = two_classes();
  const auto plan = plan_context(model, {}, 16);
  EXPECT_EQ(std::get<CountNeeded>(plan.outcome).stop_above, 32768u - 16);
  EXPECT_EQ(chosen(without_count(plan)), 1u);
}

TEST(ContextClass, WhatFitsNowhereSaysByHowMuch) {
  const auto model = two_classes();
  EXPECT_EQ(std::get<NothingFits>(plan_context(model, {32257, 40000}, 512).outcome),
            (NothingFits{32769, 32768}));
  EXPECT_EQ(std::get<NothingFits>(plan_context(model, {1, 2}, 4'000'000'000).outcome).needed, 4'000'000'001u);
  const auto open = plan_context(model, {10, 40000}, 512);
  EXPECT_EQ(std::get<NothingFits>(with_count(open, {32257, true}).outcome), (NothingFits{32769, 32768}));
  EXPECT_EQ(chosen(with_count(open, {32256, false})), 1u);
}

TEST(ContextClass, ACountThatContradictsTheBoundsIsBelieved) {
  const auto model = two_classes();
  const auto open = plan_context(model, {10, 1600}, std::nullopt);
  EXPECT_EQ(chosen(with_count(open, {5000, false})), 1u);
  EXPECT_EQ(chosen(with_count(open, {3, false})), 0u);
}

/// The class by definition: the first that holds the true need; classes.size() when none does.
std::size_t by_definition(const std::vector<ContextClass>& classes, std::uint64_t needed) {
  std::size_t index = 0;
  while (index < classes.size() && classes[index].max_tokens < needed) ++index;
  return index;
}

std::size_t index_of(const ClassOutcome& outcome, const std::vector<ContextClass>& classes) {
  const auto* found = std::get_if<ClassChosen>(&outcome);
  return found != nullptr ? found->index : classes.size();
}

TEST(ContextClass, AgreesWithTheDefinitionForEveryTrueLength) {
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    PhiloxStream random(seed);
    ModelConfig model;
    std::uint32_t window = 0;
    for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
      window += 1 + static_cast<std::uint32_t>(random.below(30));
      model.classes.push_back({"c", window, "p", 0});
    }
    const std::uint64_t lower = random.below(40);
    const TokenRange range{lower, lower + random.below(60)};
    const auto output = static_cast<std::uint32_t>(random.below(25));
    const auto plan = plan_context(model, range, output);
    const auto* asked = std::get_if<CountNeeded>(&plan.outcome);
    for (std::uint64_t truth = range.lower; truth <= range.upper; ++truth) {
      const std::size_t right = by_definition(model.classes, truth + output);
      if (asked == nullptr) {
        ASSERT_EQ(index_of(plan.outcome, model.classes), right) << truth;
      } else if (truth <= asked->stop_above) {
        ASSERT_EQ(index_of(with_count(plan, {truth, false}).outcome, model.classes), right) << truth;
      } else {
        const auto seen = asked->stop_above + 1 + random.below(truth - asked->stop_above);
        ASSERT_EQ(index_of(with_count(plan, {seen, true}).outcome, model.classes), right) << truth;
      }
      const auto uncounted = index_of(without_count(plan).outcome, model.classes);
      ASSERT_GE(uncounted, std::min(right, model.classes.size() - 1)) << "a smaller window";
    }
  }
}

}  // namespace
}  // namespace truekeel::fleet
