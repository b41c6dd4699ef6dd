// SPDX-License-Identifier: Apache-2.0
// When a failed request may be sent again: before the first byte, where that does no harm, and within a
// budget, so that retries never multiply an outage. Thread safety: plain values, the caller locks.
// Source: the token buckets of gRPC (A6), Linkerd and Envoy.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "fleet/health.h"

namespace truekeel::fleet {

struct RetrySettings {
  std::uint32_t attempts = 3;    ///< of one request, the first included
  double budget_fraction = 0.2;  ///< retries per request in the long run
  double min_per_s = 3;          ///< allowed on top, so that a quiet gateway can retry at all

  bool operator==(const RetrySettings&) const = default;
};

/// One attempt that did not succeed.
struct FailedAttempt {
  Outcome outcome = Outcome::reset;
  std::uint32_t attempt = 1;  ///< counted from 1
  bool idempotent = false;    ///< doing it twice does no harm
  bool answer_begun = false;  ///< a byte of the answer, head included, has gone to the client
};

/// True when another attempt would be right, the budget apart. A timeout is never tried again: its
/// deadline is spent. A refused connection and a 429 were not processed, so idempotence does not matter.
[[nodiscard]] bool may_retry(const FailedAttempt& failed, const RetrySettings& settings);

/// Invariant: over any time t with n requests at most burst + n * fraction + t * min_per_s retries.
class RetryBudget {
 public:
  RetryBudget(const RetrySettings& settings, Instant now);

  /// A first attempt: pays `budget_fraction` in.
  void on_request(Instant now);

  /// Takes one retry out; false when the budget is spent.
  [[nodiscard]] bool try_take(Instant now);

 private:
  void refill(Instant now);

  double fraction_;
  double min_per_s_;
  double burst_;
  double tokens_;
  Instant filled_;
};

}  // namespace truekeel::fleet
