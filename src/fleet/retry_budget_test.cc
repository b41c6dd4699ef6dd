// SPDX-License-Identifier: Apache-2.0
#include "fleet/retry_budget.h"

#include <gtest/gtest.h>

#include "base/philox.h"

namespace truekeel::fleet {
namespace {

constexpr Instant kStart{};

struct RetryCase {
  Outcome outcome;
  bool if_idempotent;
  bool otherwise;
};

class MayRetry : public testing::TestWithParam<RetryCase> {};

TEST_P(MayRetry, OnlyBeforeTheFirstByteAndWhereItDoesNoHarm) {
  const RetrySettings settings;
  const auto& [outcome, if_idempotent, otherwise] = GetParam();
  EXPECT_EQ(may_retry({outcome, 1, true, false}, settings), if_idempotent);
  EXPECT_EQ(may_retry({outcome, 1, false, false}, settings), otherwise);
  for (const bool idempotent : {true, false}) {
    EXPECT_FALSE(may_retry({outcome, 1, idempotent, true}, settings)) << "the answer has begun";
    EXPECT_FALSE(may_retry({outcome, settings.attempts, idempotent, false}, settings)) << "the last attempt";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Outcomes, MayRetry,
    testing::Values(RetryCase{Outcome::connect_failure, true, true},
                    RetryCase{Outcome::overloaded, true, true}, RetryCase{Outcome::reset, true, false},
                    RetryCase{Outcome::server_error, true, false}, RetryCase{Outcome::garbled, true, false},
                    RetryCase{Outcome::exhausted, false, false}, RetryCase{Outcome::timeout, false, false},
                    RetryCase{Outcome::client_fault, false, false},
                    RetryCase{Outcome::client_left, false, false},
                    RetryCase{Outcome::success, false, false}));

TEST(RetryBudget, AnOutageOfEverythingCostsAFifthMore) {
  RetryBudget budget({.attempts = 3, .budget_fraction = 0.2, .min_per_s = 0}, kStart);
  int retries = 0;
  for (int i = 0; i < 10'000; ++i) {
    budget.on_request(kStart);
    while (budget.try_take(kStart)) ++retries;
  }
  EXPECT_NEAR(retries, 2000, 2);
}

TEST(RetryBudget, AQuietGatewayMayRetryAtTheMinimumRate) {
  RetryBudget budget({.attempts = 3, .budget_fraction = 0, .min_per_s = 3}, kStart);
  int at_once = 0;
  while (budget.try_take(kStart)) ++at_once;
  EXPECT_EQ(at_once, 30) << "ten seconds of the minimum";
  EXPECT_FALSE(budget.try_take(kStart + std::chrono::milliseconds(300)));
  EXPECT_TRUE(budget.try_take(kStart + std::chrono::milliseconds(400)));
  EXPECT_FALSE(budget.try_take(kStart + std::chrono::milliseconds(400)));
}

TEST(RetryBudget, NothingIsAllowedWhereNothingIsGranted) {
  RetryBudget budget({.attempts = 3, .budget_fraction = 0, .min_per_s = 0}, kStart);
  budget.on_request(kStart);
  EXPECT_FALSE(budget.try_take(kStart + std::chrono::hours(1)));
}

TEST(RetryBudget, HoldsItsBoundWhateverTheOrderOfEvents) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    PhiloxStream random(seed);
    const RetrySettings settings{3, random.uniform() / 2, random.uniform() * 5};
    RetryBudget budget(settings, kStart);
    Instant now = kStart;
    double requests = 0, retries = 0;
    for (int i = 0; i < 2000; ++i) {
      now += std::chrono::milliseconds(random.below(20));
      if (random.below(3) == 0) {
        budget.on_request(now);
        ++requests;
      } else if (budget.try_take(now)) {
        ++retries;
      }
      const double seconds = std::chrono::duration<double>(now - kStart).count();
      const double burst = 10 * settings.min_per_s + 100 * settings.budget_fraction;
      ASSERT_LE(retries, burst + requests * settings.budget_fraction + seconds * settings.min_per_s + 1e-6)
          << "seed " << seed;
    }
  }
}

// Threads read the clock before they take the lock, so instants may come in the wrong order.
TEST(RetryBudget, AnEarlierInstantNeitherGrantsNorTakes) {
  const Instant late = kStart + std::chrono::seconds(60);
  RetryBudget budget({.attempts = 3, .budget_fraction = 0, .min_per_s = 1}, late);
  EXPECT_TRUE(budget.try_take(kStart)) << "what is there stays there";
  while (budget.try_take(late)) {
  }
  EXPECT_FALSE(budget.try_take(kStart));
  EXPECT_FALSE(budget.try_take(late));
}

}  // namespace
}  // namespace truekeel::fleet
