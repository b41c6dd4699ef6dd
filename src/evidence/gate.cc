// SPDX-License-Identifier: Apache-2.0
#include "evidence/gate.h"

#include <cmath>
#include <cstddef>

#include "base/assert.h"
#include "evidence/e_detector.h"

namespace truekeel::evidence {

Gate::Gate(std::span<const float> log_weights, double alpha)
    : log_weights_(log_weights.begin(), log_weights.end()),
      log_e_(log_weights.size(), 0.0f),
      log_threshold_(-std::log(alpha)) {
  TK_ASSERT(alpha > 0 && alpha < 1 && !log_weights.empty());
}

bool Gate::update(std::span<const float> log_factors) {
  TK_ASSERT(log_factors.size() == log_e_.size());
  for (std::size_t i = 0; i < log_e_.size(); ++i) log_e_[i] += log_factors[i];
  rejected_ = rejected_ || log_e() >= log_threshold_;
  return rejected_;
}

void Gate::save(ByteWriter& out) const {
  for (const float level : log_e_) out.put(level);
  out.put<std::uint8_t>(rejected_);
}

void Gate::load(ByteReader& in) {
  for (float& level : log_e_) {
    level = in.get<float>();
    in.reject_unless(std::isfinite(level));
  }
  rejected_ = in.get<std::uint8_t>() != 0;
}

double Gate::log_e() const { return log_evidence(log_e_, log_weights_); }

}  // namespace truekeel::evidence
