// SPDX-License-Identifier: Apache-2.0
// Rows of probabilities in the shape of real text, an exact sampler of declared conduct over them, and the
// faults that the audit is for. For simulations, tests and benches. Thread safety: immutable values.
//
// The shape follows a small chat model at temperature 1: the best token has .44 on average, the tokens beyond
// the top 20 hold .20. Tokens are numbered by rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/philox.h"
#include "evidence/draw_null.h"

namespace truekeel::evidence {

struct SyntheticRow {
  std::vector<float> logprob;  ///< raw, descending
  std::array<float, 3> mass_below = {};

  /// What an API reports when this token was drawn: its top `listed`; `full` adds the worker's own fields.
  [[nodiscard]] TokenRecord record(std::size_t token, std::size_t listed, bool full) const;
};

[[nodiscard]] SyntheticRow synthetic_row(PhiloxStream& random, std::size_t vocabulary);

enum class Fault {
  none,
  tail_proportional,  ///< tokens below 1e-4, by their probability
  tail_uniform,       ///< tokens below 1e-4, every id alike
  top1_excluded,      ///< the best token cannot be drawn
};

/// The law of one token under a conduct: what is drawn, with and without a fault.
class DrawLaw {
 public:
  DrawLaw(const SyntheticRow& row, const Sampling& sampling, const Conduct& conduct);

  [[nodiscard]] double probability(std::size_t token) const { return sum_[token + 1] - sum_[token]; }
  [[nodiscard]] std::size_t draw(PhiloxStream& random) const { return draw_between(0, 1, random); }
  /// A draw by the fault alone.
  [[nodiscard]] std::size_t draw(Fault fault, PhiloxStream& random) const;
  /// Kullback-Leibler divergence in nats of "a share of `rate` positions is faulty" from the null, with this
  /// floor under null probabilities; the faster a test can be.
  [[nodiscard]] double divergence(Fault fault, double rate, double floor) const;

 private:
  [[nodiscard]] std::size_t draw_between(double low, double high, PhiloxStream& random) const;
  [[nodiscard]] double faulty(Fault fault, std::size_t token) const;

  std::vector<double> sum_;  // of the drawn law, by rank
  std::vector<double> raw_;  // sums of the raw law, which faults after the filters draw from
  std::size_t tail_;         // first token with a raw probability below 1e-4
};

/// The law of exactly what this sampling draws at another temperature than declared; for served-as tests.
[[nodiscard]] Sampling at_temperature(Sampling sampling, double temperature);

}  // namespace truekeel::evidence
