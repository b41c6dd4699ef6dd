// SPDX-License-Identifier: Apache-2.0
#include "evidence/tick.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/philox.h"
#include "evidence/budget.h"

namespace truekeel::evidence {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(FlushClock, IsDueByTimeOrByTokens) {
  const Instant start{};
  FlushClock clock(start);
  EXPECT_FALSE(clock.due(start + milliseconds(249), 1023));
  EXPECT_TRUE(clock.due(start + milliseconds(250), 0));
  EXPECT_TRUE(clock.due(start, 1024));
  clock.flushed(start + milliseconds(250));
  EXPECT_EQ(clock.tick(), 2u);
  EXPECT_FALSE(clock.due(start + milliseconds(499), 0));
}

TEST(LookAt, TakesTheStatedShare) {
  PhiloxStream random(1);
  int looked = 0;
  for (int i = 0; i < 100'000; ++i) looked += look_at(0.05, random.next());
  EXPECT_NEAR(looked, 5000, 300);
  EXPECT_TRUE(look_at(1, ~0ull));
  EXPECT_FALSE(look_at(0, 0));
}

std::vector<std::string> release(AdmissionOrder<std::string>& order, Instant now) {
  std::vector<std::string> released;
  order.release(now, [&](std::uint64_t ticket, const std::optional<std::string>& item) {
    released.push_back(std::to_string(ticket) + item.value_or("-"));
  });
  return released;
}

TEST(AdmissionOrder, EntersInOrderAndCountsWhatIsLostOrLate) {
  const Instant start{};
  AdmissionOrder<std::string> order(3, seconds(10));
  const auto a = order.admit(start), b = order.admit(start), c = order.admit(start + seconds(5));
  order.complete(c, "c");
  EXPECT_TRUE(release(order, start).empty()) << "c waits for a and b";
  order.complete(a, "a");
  EXPECT_EQ(release(order, start), (std::vector<std::string>{"0a"}));
  EXPECT_EQ(release(order, start + seconds(10)), (std::vector<std::string>{"1-", "2c"}));
  order.complete(b, "b");  // too late: it was entered as lost
  const auto d = order.admit(start + seconds(10));
  order.abandon(d);
  EXPECT_EQ(release(order, start + seconds(10)), (std::vector<std::string>{"3-"}));
}

TEST(AdmissionOrder, GivesUpTheOldestWhenTooManyWaitForIt) {
  const Instant start{};
  AdmissionOrder<std::string> order(2, seconds(10));
  const auto slow = order.admit(start);
  order.complete(order.admit(start), "b");
  EXPECT_TRUE(release(order, start).empty());
  order.complete(order.admit(start), "c");
  EXPECT_EQ(release(order, start), (std::vector<std::string>{"0-", "1b", "2c"}));
  order.complete(slow, "a");  // too late: it was entered as lost
  EXPECT_TRUE(release(order, start).empty());
}

TEST(FalseAlarmBudget, NeverSpendsMoreThanThePromise) {
  constexpr std::uint64_t kSeed = 31;
  PhiloxStream random(kSeed);
  Instant now{};
  const BudgetSettings settings{.false_alarms_per_day = 0.1, .detectors_max = 1'000'000};
  FalseAlarmBudget budget(settings, now);
  double day = 0;
  for (int i = 0; i < 500'000; ++i) {
    const auto step = milliseconds(1 + random.below(i % 1000 == 0 ? 600'000 : 250));
    now += step;
    day += std::chrono::duration<double>(step).count() / 86'400;
    // Bursts: mostly some thousand detectors, at times all there are.
    const std::uint64_t touched = random.below(500) == 0 ? settings.detectors_max : random.below(5000);
    budget.next_window(now, touched);
    ASSERT_LE(budget.spent(), settings.false_alarms_per_day * (day + 1.0 / 24));
  }
  EXPECT_GT(budget.spent(), 0.3 * settings.false_alarms_per_day * day)
      << "a promise not used is delay for nothing";
}

TEST(FalseAlarmBudget, SteadyTrafficGetsTheConstantThreshold) {
  Instant now{};
  FalseAlarmBudget budget({}, now);
  constexpr std::uint64_t kTouched = 5000;
  for (int i = 0; i < 4 * 3600 * 24; ++i) budget.next_window(now += milliseconds(250), kTouched);
  const double updates_per_day = 4.0 * 86'400 * kTouched;
  EXPECT_NEAR(budget.log_threshold(), std::log(constant_threshold(updates_per_day, 0.1)), 0.01);
}

}  // namespace
}  // namespace truekeel::evidence
