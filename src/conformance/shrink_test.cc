// SPDX-License-Identifier: Apache-2.0
#include "conformance/shrink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace truekeel::conformance {
namespace {

TEST(Shrink, KeepsOnlyWhatMatters) {
  std::vector<Row> rows;
  for (int i = 0; i < 9; ++i)
    rows.push_back({.logits = std::vector<float>(100, -1.3F),
                    .params = {.temperature = 2, .top_k = 7},
                    .history = {99}});
  rows[6].logits[42] = NAN;
  const auto fails = [](std::span<const Row> now) {
    return std::ranges::any_of(now, [](const Row& row) {
      return row.params.top_k.has_value() &&
             std::ranges::any_of(row.logits, [](float x) { return std::isnan(x); });
    });
  };
  const std::vector<Row> small = shrink(rows, fails, 1000);
  ASSERT_TRUE(fails(small));
  ASSERT_EQ(small.size(), 1U);
  EXPECT_EQ(small[0].logits.size(), 1U);
  EXPECT_EQ(small[0].params, (Params{.top_k = 7}));
  EXPECT_TRUE(small[0].history.empty());
}

TEST(Shrink, RenumbersIdsOfHistoryAndBias) {
  const Row row{
      .logits = std::vector<float>(64), .params = {.bias = {{40, 1.F}, {3, 1.F}}}, .history = {40, 40, 3}};
  const auto fails = [](std::span<const Row> rows) {
    return std::ranges::all_of(
               rows.front().history,
               [&](TokenId id) { return static_cast<std::size_t>(id) < rows.front().logits.size(); }) &&
           std::ranges::count(rows.front().history,
                              rows.front().params.bias.empty() ? -1 : rows.front().params.bias[0].first) == 2;
  };
  const std::vector<Row> small = shrink({row}, fails, 1000);
  EXPECT_EQ(small.front().logits.size(), 1U);
  EXPECT_EQ(small.front().history, (std::vector<TokenId>{0, 0}));
}

TEST(Shrink, StopsAtItsBudget) {
  std::size_t calls = 0;
  const auto fails = [&](std::span<const Row>) { return ++calls, true; };
  static_cast<void>(shrink({{.logits = std::vector<float>(1000, .5F)}}, fails, 5));
  EXPECT_EQ(calls, 5U);
}

}  // namespace
}  // namespace truekeel::conformance
