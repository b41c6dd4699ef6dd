// SPDX-License-Identifier: Apache-2.0
// How long a fault would stay unseen: from the distributions that today's tokens were drawn from follows how
// fast evidence against a faulty server would grow, whether or not there ever is one.
// Thread safety: serves one thread.
//
// Law: a bet at the true rate r grows by g = E[log(1 - r + r * ratio)] nats a token, and an alarm takes about
// (log A + log of the mixture's cells) / g tokens (Wald). A forecast for display, not a promise.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "evidence/draw_null.h"

namespace truekeel::sentinel {

/// Shares of faulty tokens that forecasts are given for.
inline constexpr std::array<double, 3> kForecastRates = {0.001, 0.008, 0.05};

using Growth = std::array<double, kForecastRates.size()>;  ///< nats an item

/// Growth of a bet whose ratio is `ratio` at the faulty items and at a share `null_rate` of the clean ones,
/// and 0 elsewhere.
[[nodiscard]] double growth(double rate, double ratio, double null_rate);

/// Means over tokens that were measured.
class GrowthMeter {
 public:
  /// True for one of every `every` calls.
  [[nodiscard]] bool due(std::uint64_t every) { return calls_++ % every == 0; }

  void add(const evidence::TokenRecord& record, const evidence::Sampling& sampling,
           const evidence::Conduct& conduct, double rho);

  /// Takes over what the other has measured, and leaves it without.
  void take(GrowthMeter& other);

  /// Nothing before some dozens of tokens.
  [[nodiscard]] std::optional<Growth> tail() const { return mean(tail_); }
  [[nodiscard]] std::optional<Growth> top1_excluded() const { return mean(top1_); }

 private:
  [[nodiscard]] std::optional<Growth> mean(const Growth& sum) const;

  Growth tail_ = {}, top1_ = {};
  double weight_ = 0;  // of the tokens that the sums hold; old ones fade
  std::uint64_t calls_ = 0;
};

/// Minutes until an alarm; nothing when evidence does not grow or nothing comes.
[[nodiscard]] std::optional<double> minutes_to_detect(double growth, double log_threshold, std::size_t cells,
                                                      double items_per_minute);

}  // namespace truekeel::sentinel
