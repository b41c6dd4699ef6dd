// SPDX-License-Identifier: Apache-2.0
// A sequential test that may reject once: for comparing two things (a rollout with its predecessor, an
// endpoint with a reference), looked at as often as one likes. Source: Ville's inequality.
// Thread safety: a gate serves one thread.
#pragma once

#include <span>
#include <vector>

#include "base/bytes.h"

namespace truekeel::evidence {

class Gate {
 public:
  /// alpha: the probability of ever rejecting a true null, 0 < alpha < 1. `log_weights` as in Detector.
  Gate(std::span<const float> log_weights, double alpha);

  /// Multiplies by the factors of some items, given as summed logarithms; true once it has rejected.
  bool update(std::span<const float> log_factors);

  [[nodiscard]] bool rejected() const { return rejected_; }
  /// log of the e-value; log(1 / e) bounds the p-value at any time.
  [[nodiscard]] double log_e() const;
  /// Evidence at which it rejects: log(1 / alpha).
  [[nodiscard]] double log_threshold() const { return log_threshold_; }

  /// To go on after a restart, with the same weights; `in` rejects what no gate can have been.
  void save(ByteWriter& out) const;
  void load(ByteReader& in);

 private:
  std::vector<float> log_weights_, log_e_;
  double log_threshold_;
  bool rejected_ = false;
};

}  // namespace truekeel::evidence
