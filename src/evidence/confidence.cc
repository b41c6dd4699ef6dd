// SPDX-License-Identifier: Apache-2.0
#include "evidence/confidence.h"

#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>

#include "base/assert.h"

namespace truekeel::evidence {

double rate_upper_bound(std::uint64_t events, std::uint64_t items, double confidence) {
  TK_ASSERT(events <= items && confidence > 0 && confidence < 1);
  if (events == items) return 1;
  const auto k = static_cast<double>(events), n = static_cast<double>(items);
  return boost::math::ibeta_inv(k + 1, n - k, confidence);
}

double rate_lower_bound(std::uint64_t events, std::uint64_t items, double confidence) {
  TK_ASSERT(events <= items && confidence > 0 && confidence < 1);
  if (events == 0) return 0;
  const auto k = static_cast<double>(events), n = static_cast<double>(items);
  return boost::math::ibeta_inv(k, n - k + 1, 1 - confidence);
}

double count_upper_bound(std::uint64_t events, double confidence) {
  TK_ASSERT(confidence > 0 && confidence < 1);
  return boost::math::gamma_p_inv(static_cast<double>(events) + 1, confidence);
}

}  // namespace truekeel::evidence
