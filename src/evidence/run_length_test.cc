// SPDX-License-Identifier: Apache-2.0
// The promise, by simulation: false alarms of the whole token audit under a true null, and the two ways of
// breaking it that look harmless.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/philox.h"
#include "evidence/bounded_rate.h"
#include "evidence/confidence.h"
#include "evidence/e_detector.h"
#include "evidence/synthetic_rows.h"
#include "evidence/token_audit.h"

namespace truekeel::evidence {
namespace {

/// Clean tokens of mixed traffic, with the log factors of every possible token computed once.
class CleanTraffic {
 public:
  static constexpr std::size_t kVocabulary = 256, kRows = 48, kListed = 20;

  explicit CleanTraffic(const TokenAudit& audit, std::uint64_t seed)
      : random_(seed), cells_(audit.bets().cells()) {
    const Sampling kinds[] = {
        {.temperature = 1, .vocabulary = kVocabulary},
        {.temperature = 0.7, .top_k = 40, .top_p = 0.9, .vocabulary = kVocabulary},
        {.temperature = 1.3, .vocabulary = kVocabulary},
    };
    for (std::size_t i = 0; i < kRows; ++i) {
      const Sampling& sampling = kinds[i % std::size(kinds)];
      const SyntheticRow row = synthetic_row(random_, kVocabulary);
      laws_.emplace_back(row, sampling, Conduct{});
      for (std::size_t token = 0; token < kVocabulary; ++token) {
        factors_.resize(factors_.size() + cells_, 0.0f);
        audit.add(row.record(token, kListed, i % 2 == 0), sampling, {}, {}, std::span(factors_).last(cells_));
      }
    }
  }

  std::span<const float> next() {
    const std::size_t row = random_.below(kRows);
    const std::size_t token = laws_[row].draw(random_);
    return std::span<const float>(factors_).subspan((row * kVocabulary + token) * cells_, cells_);
  }

 private:
  PhiloxStream random_;
  std::size_t cells_;
  std::vector<DrawLaw> laws_;
  std::vector<float> factors_;
};

struct Count {
  std::uint64_t alarms = 0;
  double promised = 0;
};

/// Windows of `tokens` tokens each, at a constant threshold.
Count count_alarms(double threshold, std::uint64_t windows, std::size_t tokens, std::uint64_t seed) {
  const TokenAudit audit;
  CleanTraffic traffic(audit, seed);
  Detector detector(audit.bets().log_weights());
  std::vector<float> sums(audit.bets().cells());
  Count count{.alarms = 0, .promised = static_cast<double>(windows) / threshold};
  for (std::uint64_t window = 1; window <= windows; ++window) {
    std::ranges::fill(sums, 0.0f);
    for (std::size_t i = 0; i < tokens; ++i) {
      const auto factors = traffic.next();
      for (std::size_t cell = 0; cell < sums.size(); ++cell) sums[cell] += factors[cell];
    }
    count.alarms += detector.update(sums, -std::log(threshold), static_cast<Tick>(window));
  }
  return count;
}

class RunLength : public testing::TestWithParam<std::tuple<double, std::uint64_t, std::size_t>> {};

TEST_P(RunLength, FalseAlarmsStayWithinThePromise) {
  const auto [threshold, windows, tokens] = GetParam();
  constexpr std::uint64_t kSeed = 7;
  const Count count = count_alarms(threshold, windows, tokens, kSeed);
  const double upper = count_upper_bound(count.alarms, 0.99);
  std::printf("A %.0e, %llu windows of %zu, seed %llu: %llu alarms, 99 %% bound %.1f, promised %.1f\n",
              threshold, static_cast<unsigned long long>(windows), tokens,
              static_cast<unsigned long long>(kSeed), static_cast<unsigned long long>(count.alarms), upper,
              count.promised);
  EXPECT_LE(upper, count.promised);
}

INSTANTIATE_TEST_SUITE_P(Thresholds, RunLength,
                         testing::Values(std::tuple(1e4, 2'000'000, 1), std::tuple(1e4, 200'000, 25),
                                         std::tuple(1e5, 4'000'000, 1), std::tuple(1e6, 20'000'000, 1)));

}  // namespace
}  // namespace truekeel::evidence
