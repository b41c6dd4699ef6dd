// SPDX-License-Identifier: Apache-2.0
#include "fleet/retry_budget.h"

#include <algorithm>

namespace truekeel::fleet {
namespace {

// What may be saved up: ten seconds of the minimum (Linkerd's window) and what a hundred requests pay in.
constexpr double kSavedSeconds = 10;
constexpr double kSavedRequests = 100;

}  // namespace

bool may_retry(const FailedAttempt& failed, const RetrySettings& settings) {
  if (failed.answer_begun || failed.attempt >= settings.attempts) return false;
  switch (failed.outcome) {
    case Outcome::connect_failure:
    case Outcome::overloaded:
      return true;
    case Outcome::reset:
    case Outcome::server_error:
    case Outcome::garbled:
      return failed.idempotent;
    case Outcome::success:
    case Outcome::exhausted:  // as little is left for another connection
    case Outcome::timeout:
    case Outcome::client_fault:
    case Outcome::client_left:
      return false;
  }
  return false;
}

RetryBudget::RetryBudget(const RetrySettings& settings, Instant now)
    : fraction_(settings.budget_fraction),
      min_per_s_(settings.min_per_s),
      burst_(kSavedSeconds * settings.min_per_s + kSavedRequests * settings.budget_fraction),
      tokens_(kSavedSeconds * settings.min_per_s),
      filled_(now) {}

void RetryBudget::refill(Instant now) {
  if (now <= filled_) return;
  const double seconds = std::chrono::duration<double>(now - filled_).count();
  tokens_ = std::min(burst_, tokens_ + seconds * min_per_s_);
  filled_ = now;
}

void RetryBudget::on_request(Instant now) {
  refill(now);
  tokens_ = std::min(burst_, tokens_ + fraction_);
}

bool RetryBudget::try_take(Instant now) {
  refill(now);
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

}  // namespace truekeel::fleet
