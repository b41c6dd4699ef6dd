// SPDX-License-Identifier: Apache-2.0
// The statistics of the kit: a likelihood-ratio test whose error bound is a theorem for every number of
// draws, and what such a test would find. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace truekeel::conformance {

/// Outcomes pooled into cells of known probability.
struct Cells {
  static constexpr std::uint32_t kImpossible = ~0U;  ///< the cell of a token of probability 0

  std::vector<std::uint32_t> of_token = {};
  std::vector<double> probability = {};
};

/// Pools a distribution: each token expected at least `expected_min` times in `draws` draws has a cell of
/// its own (the heaviest `cells_max` at most), the rest shares cells of neighbouring ids, so that a hole
/// anywhere in the vocabulary shows. `tied` tokens share one cell.
[[nodiscard]] Cells pool(std::span<const double> probability, std::span<const std::int32_t> tied,
                         std::uint64_t draws);

/// n * KL(observed share || expected), in nats: half of the G statistic.
[[nodiscard]] double divergence(std::span<const std::uint64_t> counts, std::span<const double> probability);

/// Natural log of an upper bound of P(divergence >= x) under the expected distribution, for any number of
/// draws: -x + (k-1)(1 + ln(x / (k-1))). Source: Agrawal 2020, theorem I.2.
[[nodiscard]] double log_p_bound(double x, std::size_t cells);

/// The divergence from which the bound is below `alpha`: a test that rejects from there on errs at most
/// that often, at every sample size, with no appeal to a limit distribution.
[[nodiscard]] double threshold(std::size_t cells, double alpha);

/// What a test over `draws` draws with this threshold finds with 99 % probability, for a cell of
/// probability q: every share of at least `above`, and of at most `below`. A lower bound of the power: the
/// divergence of all cells is at least that of one cell against the rest.
struct Power {
  double above = 1;  ///< > 1: no share is high enough
  double below = 0;  ///< < 0: not even an empty cell is found
};
[[nodiscard]] Power power(double q, std::uint64_t draws, double threshold);

}  // namespace truekeel::conformance
