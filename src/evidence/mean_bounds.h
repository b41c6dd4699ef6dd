// SPDX-License-Identifier: Apache-2.0
// Bounds on the mean of bounded values that hold at every moment at once, so that one may look after each
// value and stop at will. Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
// betting", JRSS B 2024. Thread safety: one object serves one thread.
//
// Law: where the mean of every value, given those before it, is at most m, lower(error) ever exceeds m with a
// probability of at most `error`; the same for upper(), from the other side. (Lemma 1 of docs/evidence.md
// with the ratio (value - least) / (m - least), and Ville's inequality.)
#pragma once

#include <cstddef>
#include <vector>

namespace truekeel::evidence {

class MeanBounds {
 public:
  /// Requires: least < most.
  MeanBounds(double least, double most);

  /// Values beyond the ends count as the ends.
  void add(double value);

  [[nodiscard]] std::size_t items() const { return values_.size(); }
  /// Of the values as they counted; 0 before the first.
  [[nodiscard]] double mean() const;

  /// Requires: 0 < error < 1. Cost: some 250 logarithms per value.
  [[nodiscard]] double lower(double error) const;
  [[nodiscard]] double upper(double error) const;

  /// log of the e-value against "the mean is at most m", and against "at least m": a bound with this error
  /// moves past m where it reaches log(1 / error). Requires: m within the ends, and not the end that is bet
  /// against.
  [[nodiscard]] double log_evidence_above(double m) const;
  [[nodiscard]] double log_evidence_below(double m) const;

 private:
  double least_, most_;
  std::vector<double> values_;  // as shares of the range
};

}  // namespace truekeel::evidence
