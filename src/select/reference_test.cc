// SPDX-License-Identifier: Apache-2.0
#include "select/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "select/weight.h"

namespace truekeel::select {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

Row row_of(const std::vector<float>& values) {
  return {values.data(), static_cast<std::uint32_t>(values.size()), DType::f32};
}

/// The draw whose point is this one, among a total.
Draw draw_at(std::uint64_t point, std::uint64_t total) {
  return {static_cast<std::uint64_t>(((static_cast<uint128>(point) << 64) + total - 1) / total)};
}

TEST(Reference, GreedyTakesTheLowestIdOfATie) {
  const std::vector<float> values = {1, 3, 3, -kInf};
  const auto choice = reference_select(row_of(values), {.temperature = 0}, {~0ull});
  ASSERT_TRUE(choice);
  EXPECT_EQ(*choice, (Choice{.id = 1, .kept_count = 1, .kept_weight = kWeightMax, .end = kWeightMax}));
}

TEST(Reference, EveryIntervalIsAsWideAsItsWeight) {
  const std::vector<float> values = {0, -1, 2, 2, -3};
  std::uint64_t total = 0;
  for (const float value : values) total += weight_of(value, Scale::of(2, 1));
  std::uint64_t begin = 0;
  for (std::uint32_t id = 0; id < values.size(); ++id) {
    const std::uint64_t end = begin + weight_of(values[id], Scale::of(2, 1));
    for (const std::uint64_t point : {begin, end - 1}) {
      const auto choice = reference_select(row_of(values), {}, draw_at(point, total));
      ASSERT_TRUE(choice);
      EXPECT_EQ(choice->id, id);
      EXPECT_EQ(choice->begin, begin);
      EXPECT_EQ(choice->end, end);
    }
    begin = end;
  }
}

TEST(Reference, TopKCutsATieById) {
  const std::vector<float> values = {0, 5, 5, 5};
  const Params params{.top_k = 2};
  for (const std::uint64_t bits : {0ull, 1ull << 63, ~0ull}) {
    const auto choice = reference_select(row_of(values), params, {bits});
    EXPECT_EQ(choice->kept_count, 2u);
    EXPECT_LT(choice->id, 3u);
  }
}

TEST(Reference, TopPIsTakenOnTheMassThatTopKLeft) {
  // Shares .4 .3 .2 .1: of the two best, the first holds 4/7 > .5; of all four it holds less than .5.
  const std::vector<float> values = {std::log(.4f), std::log(.3f), std::log(.2f), std::log(.1f)};
  EXPECT_EQ(reference_select(row_of(values), {.top_k = 2, .top_p = .5}, {})->kept_count, 1u);
  EXPECT_EQ(reference_select(row_of(values), {.top_p = .5}, {})->kept_count, 2u);
}

TEST(Reference, TheChainDecidesWhetherTemperatureComesFirst) {
  const std::vector<float> values = {std::log(.6f), std::log(.4f)};
  EXPECT_EQ(reference_select(row_of(values), {.temperature = 4, .top_p = .55}, {})->kept_count, 2u);
  const Params llama{.chain = Chain::llama_cpp(), .temperature = 4, .top_p = .55};
  EXPECT_EQ(reference_select(row_of(values), llama, {})->kept_count, 1u);
}

TEST(Reference, NamesTheTokenThatIsBad) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto fault = [](const std::vector<float>& values) {
    return reference_select(row_of(values), {}, {}).error();
  };
  EXPECT_EQ(fault({0, -nan, nan}), (Failure{Fault::nan_logit, 0, 1}));
  EXPECT_EQ(fault({0, kInf}), (Failure{Fault::infinite_logit, 0, 1}));
  EXPECT_EQ(fault({-kInf, -kInf}), (Failure{Fault::all_forbidden}));
}

TEST(Reference, FullRecordIsOfTheRawRow) {
  const std::vector<float> values = {1, 0, -20};
  const std::uint64_t allowed = 0b110;
  FullRecord full;
  const auto choice =
      reference_select(row_of(values), {.temperature = 0, .allowed = {&allowed, 1}}, {}, &full);
  ASSERT_EQ(choice->id, 1u);
  EXPECT_EQ(full.top_id, 0u);
  EXPECT_EQ(full.top_margin, 1);
  EXPECT_NEAR(full.normaliser, std::log(std::exp(1.0) + 1 + std::exp(-20.0)), 1e-6);
  EXPECT_NEAR(full.tail_mass[2], std::exp(-21.0) / (1 + std::exp(-1.0)), 1e-12);
}

}  // namespace
}  // namespace truekeel::select
