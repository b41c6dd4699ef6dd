// SPDX-License-Identifier: Apache-2.0
#include "evidence/budget.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace truekeel::evidence {
namespace {

double ratio(Duration a, Duration b) {
  return static_cast<double>(a.count()) / static_cast<double>(b.count());
}

// A window shorter than this, after a burst, is staked as if it had this length: stakes stay comparable.
constexpr Duration kWindowLeast = std::chrono::milliseconds(10);
constexpr Duration kWindowUsual = std::chrono::milliseconds(250);
constexpr double kMemory = 1.0 / 64;  // of the running mean

}  // namespace

FalseAlarmBudget::FalseAlarmBudget(const BudgetSettings& settings, Instant now)
    : settings_(settings),
      last_(now),
      reserve_(settings.false_alarms_per_day * ratio(settings.horizon, std::chrono::hours(24))),
      touched_(settings.detectors_expected) {
  TK_ASSERT(settings.false_alarms_per_day > 0 && settings.horizon > Duration::zero());
  TK_ASSERT(settings.detectors_max > 0 && settings.detectors_expected > 0);
  set_stake(kWindowUsual);
}

double FalseAlarmBudget::log_stake() const { return std::log(stake_); }

void FalseAlarmBudget::next_window(Instant now, std::uint64_t touched) {
  TK_ASSERT(now >= last_ && touched <= settings_.detectors_max);
  const double spending = stake_ * static_cast<double>(touched);
  spent_ += spending;
  reserve_ += settings_.false_alarms_per_day * ratio(now - last_, std::chrono::hours(24)) - spending;
  // Windows that touch nothing say nothing about those that do.
  if (touched > 0) touched_ += kMemory * (static_cast<double>(touched) - touched_);
  set_stake(now - last_);
  last_ = now;
}

void FalseAlarmBudget::set_stake(Duration window) {
  // Spends the reserve with the time constant of the horizon. The second bound holds whatever comes: not
  // even a window that touches every detector can overdraw the reserve.
  const double share = std::min(1.0, ratio(std::max(window, kWindowLeast), settings_.horizon));
  stake_ = std::min(reserve_ * share / touched_, reserve_ / static_cast<double>(settings_.detectors_max));
}

}  // namespace truekeel::evidence
