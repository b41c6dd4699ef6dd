// SPDX-License-Identifier: Apache-2.0
// Tests that a rate of flags stays at or below a tolerated one, whatever the flag is: a greedy token off the
// top, a vector beyond its distance, a canary that failed. Thread safety: immutable.
// Law: with E = 1 - rate + rate * flag / p0 the mean of E is at most 1 for every p <= p0. In the usual form,
// event -> r, none -> (1 - r p0) / (1 - p0), this is r = 1 - rate + rate / p0.
#pragma once

#include <span>

#include "base/assert.h"
#include "evidence/ratio_bets.h"

namespace truekeel::evidence {

class BoundedRate {
 public:
  /// p0: the tolerated rate of flags. Requires: 0 < p0 < 1.
  explicit BoundedRate(double p0, std::span<const double> rates = kRates) : p0_(p0), bets_(1, rates) {
    TK_ASSERT(p0 > 0 && p0 < 1);
  }

  [[nodiscard]] const RatioBets& bets() const { return bets_; }

  /// Adds one item, flagged or not.
  void add(bool flagged, std::span<float> sums) const {
    const double ratio = flagged ? 1 / p0_ : 0;
    bets_.add({&ratio, 1}, sums);
  }

 private:
  double p0_;
  RatioBets bets_;
};

}  // namespace truekeel::evidence
