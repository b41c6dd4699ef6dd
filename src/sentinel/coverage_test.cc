// SPDX-License-Identifier: Apache-2.0
#include "sentinel/coverage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <vector>

#include "base/philox.h"
#include "evidence/e_detector.h"
#include "evidence/synthetic_rows.h"
#include "evidence/token_audit.h"

namespace truekeel::sentinel {
namespace {

using namespace evidence;

TEST(Coverage, GrowthIsThatOfTheBet) {
  // A fair coin's flag, expected at a share of .001, seen at .05 more.
  EXPECT_NEAR(growth(0.05, 1000, 0.001), 0.05095 * std::log(0.95 + 50) + 0.94905 * std::log(0.95), 1e-9);
  EXPECT_LT(growth(0.001, 1, 1), 0.001) << "a ratio that clean items show too tells nothing";
  EXPECT_FALSE(minutes_to_detect(0, 20, 7, 100));
  EXPECT_FALSE(minutes_to_detect(0.1, 20, 7, 0));
  EXPECT_NEAR(minutes_to_detect(0.01, 20, 1, 100).value(), 20, 1e-9);
}

/// Median tokens until the audit alarms at A = 1e10, and what the meter forecasts from clean tokens.
void compare(const Sampling& sampling, Fault fault, double rate, double within) {
  constexpr std::uint64_t kSeed = 31;
  PhiloxStream random(kSeed);
  const TokenAudit audit;
  const Conduct conduct;
  std::vector<SyntheticRow> rows;
  std::vector<DrawLaw> laws;
  for (int i = 0; i < 32; ++i) {
    rows.push_back(synthetic_row(random, 4000));
    laws.emplace_back(rows.back(), sampling, conduct);
  }
  GrowthMeter meter;
  for (int i = 0; i < 3000; ++i) {
    const std::size_t row = random.below(rows.size());
    meter.add(rows[row].record(laws[row].draw(random), 20, false), sampling, conduct, 1e-5);
  }
  const auto forecasts = fault == Fault::top1_excluded ? meter.top1_excluded() : meter.tail();
  ASSERT_TRUE(forecasts);
  const double forecast = minutes_to_detect((*forecasts)[1], std::log(1e10), audit.bets().cells(), 1).value();
  std::vector<double> tokens;
  for (int run = 0; run < 9; ++run) {
    Detector detector(audit.bets().log_weights());
    std::vector<float> sums(audit.bets().cells());
    Tick token = 0;
    do {
      std::ranges::fill(sums, 0.0f);
      const std::size_t row = random.below(rows.size());
      const Fault now = random.uniform() < rate ? fault : Fault::none;
      audit.add(rows[row].record(laws[row].draw(now, random), 20, false), sampling, conduct, {}, sums);
    } while (!detector.update(sums, -std::log(1e10), ++token) && token < 1'000'000);
    tokens.push_back(token);
  }
  std::ranges::sort(tokens);
  std::printf("seed %llu: forecast %.0f tokens, median %.0f\n", static_cast<unsigned long long>(kSeed),
              forecast, tokens[4]);
  EXPECT_LT(std::max(forecast / tokens[4], tokens[4] / forecast), within);
}

TEST(Coverage, ForecastsAreOfTheOrderOfWhatIsMeasured) {
  const Sampling chat{.temperature = 0.7, .top_k = 40, .top_p = 0.9, .vocabulary = 4000};
  compare(chat, Fault::tail_uniform, 0.008, 3);
  compare(chat, Fault::top1_excluded, 0.008, 3);
  compare({.temperature = 0, .vocabulary = 4000}, Fault::top1_excluded, 0.008, 3);
}

}  // namespace
}  // namespace truekeel::sentinel
