// SPDX-License-Identifier: Apache-2.0
#include "evidence/two_arm.h"

#include <cmath>

#include "base/assert.h"

namespace truekeel::evidence {

TwoArm::TwoArm(std::span<const double> relative_rates)
    : relative_rates_(relative_rates.begin(), relative_rates.end()),
      log_weights_(relative_rates.size(),
                   static_cast<float>(-std::log(static_cast<double>(relative_rates.size())))) {
  TK_ASSERT(!relative_rates.empty());
  for (const double rate : relative_rates) TK_ASSERT(rate > 1);
}

void TwoArm::add(bool in_slice, double exposure, std::span<float> sums) const {
  TK_ASSERT(exposure > 0 && exposure < 1 && sums.size() == cells());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const double rate = relative_rates_[i];
    const double factor = (in_slice ? rate : 1.0) / (1 - exposure + rate * exposure);
    sums[i] += static_cast<float>(std::log(factor));
  }
}

}  // namespace truekeel::evidence
