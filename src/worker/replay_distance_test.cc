// SPDX-License-Identifier: Apache-2.0
#include "worker/replay_distance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "select/select.h"

namespace truekeel::worker {
namespace {

using select::Draw;
using select::Params;

/// Four tokens of probabilities 1/8, 1/2, 1/8, 1/4 at temperature 1, in the order of ids.
class ReplayDistance : public testing::Test {
 protected:
  const std::vector<float> row_ = {std::log(1.0f), std::log(4.0f), std::log(1.0f), std::log(2.0f)};
  select::Workspace workspace_{4};
  std::size_t selections_ = 0;

  select::Outcome select(const Params& params, Draw draw) {
    return select::select({row_.data(), 4}, params, draw, workspace_);
  }
  std::optional<double> distance(const Params& params, double at, std::uint32_t given) {
    const Draw draw{static_cast<std::uint64_t>(at * 0x1p64)};
    const auto selected = select(params, draw);
    return replay_distance(params, draw, *selected, given, 4, [&](const Params& other, Draw probe) {
      ++selections_;
      return select(other, probe);
    });
  }
};

TEST_F(ReplayDistance, InsideItIsThatToTheNearerNeighbour) {
  EXPECT_NEAR(*distance({}, 0.15, 1), 0.025, 1e-6);
  EXPECT_NEAR(*distance({}, 0.60, 1), 0.025, 1e-6);
  EXPECT_NEAR(*distance({}, 0.375, 1), 0.25, 1e-6);
  EXPECT_EQ(selections_, 0u);
}

TEST_F(ReplayDistance, TheEndsOfTheRangeAreNoBoundary) {
  EXPECT_NEAR(*distance({}, 0.0, 0), 0.125, 1e-6);
  EXPECT_NEAR(*distance({}, 0.99, 3), 0.24, 1e-6);
  EXPECT_EQ(distance({.top_k = 1}, 0.5, 1), std::nullopt);
}

TEST_F(ReplayDistance, OutsideItIsThatToTheGivenTokensInterval) {
  EXPECT_NEAR(*distance({}, 0.30, 0), 0.175, 1e-6);
  EXPECT_NEAR(*distance({}, 0.30, 2), 0.325, 1e-6);
  EXPECT_NEAR(*distance({}, 0.30, 3), 0.45, 1e-6);
  EXPECT_NEAR(*distance({}, 0.80, 0), 0.675, 1e-6);
}

TEST_F(ReplayDistance, ATokenThatFiltersLeftOutCountsAtItsPlace) {
  // Of ids 1 and 3 the first has 2/3.
  const Params two = {.top_k = 2};
  EXPECT_NEAR(*distance(two, 0.5, 0), 0.5, 1e-6);
  EXPECT_NEAR(*distance(two, 0.5, 2), 2.0 / 3 - 0.5, 1e-6);
  EXPECT_NEAR(*distance(two, 0.9, 2), 0.9 - 2.0 / 3, 1e-6);
}

TEST_F(ReplayDistance, AtTemperatureZeroTheTwoThatCompeteAreTakenAlone) {
  EXPECT_NEAR(*distance({.temperature = 0}, 0, 1), 0.5 - 1.0 / 3, 1e-6);  // before id 3
  EXPECT_NEAR(*distance({.temperature = 0}, 0, 3), 0.5 - 1.0 / 3, 1e-6);  // behind id 1
  EXPECT_NEAR(*distance({.temperature = 0}, 0, 2), 0.5 - 1.0 / 5, 1e-6);
  const std::vector<select::TokenBias> bias = {{3, std::log(4.0f)}};
  EXPECT_NEAR(*distance({.temperature = 0, .bias = bias}, 0, 1), 0.5 - 1.0 / 3, 1e-6);  // now 8 to 4
}

// A long row of near-equal tokens: the search is by halves, not by steps.
TEST(ReplayDistanceSearch, TakesAFewSelections) {
  constexpr std::uint32_t kVocabulary = 50'000;
  const std::vector<float> row(kVocabulary, 1.0f);
  select::Workspace workspace(kVocabulary);
  std::size_t selections = 0;
  const Draw draw{1ull << 63};
  const auto selected = select::select({row.data(), kVocabulary}, {}, draw, workspace);
  const auto distance =
      replay_distance({}, draw, *selected, 12'345, kVocabulary, [&](const Params& params, Draw probe) {
        ++selections;
        return select::select({row.data(), kVocabulary}, params, probe, workspace);
      });
  EXPECT_NEAR(*distance, 0.5 - 12'346.0 / kVocabulary, 1e-9);
  EXPECT_LE(selections, 17u);
}

}  // namespace
}  // namespace truekeel::worker
