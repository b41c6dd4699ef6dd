// SPDX-License-Identifier: Apache-2.0
// The audit of one token against the distribution that its engine reported: how much likelier each
// alternative makes it than the null. Content-free: reads logprobs and ranks, keeps nothing.
// Thread safety: immutable after construction.
//
// Null: within the tolerances, the token was drawn from the reported distribution by the declared steps with
// the declared parameters. Each ratio has a mean of at most 1 under it (docs/evidence.md, section 3; the test
// enumerates small vocabularies exactly).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "evidence/draw_null.h"
#include "evidence/ratio_bets.h"

namespace truekeel::evidence {

enum class Alternative : std::uint8_t {
  tail_3,         ///< a token whose reported probability is below 1e-3
  tail_4,         ///< below 1e-4
  tail_5,         ///< below 1e-5
  uniform,        ///< drawn uniformly over the vocabulary
  top1_excluded,  ///< the best token is lost
  hotter,         ///< drawn at a higher temperature than declared
  colder,         ///< drawn at a lower one
  impossible,     ///< outside top-k, top-p, min-p or the mask; at temperature 0, off the top
  wrong_seed,     ///< not the token that the known seed selects
};

inline constexpr std::size_t kAlternatives = 9;

/// As in incidents and on screens.
[[nodiscard]] std::string_view name(Alternative alternative);

/// By how much the null may be wrong; from calibration (calibration.h).
struct AuditTolerances {
  /// For every set of tokens, drawn and reported probability differ by at most this. Also the tolerated rate
  /// of greedy tokens off the top.
  double rho = 1e-5;
  /// For every token, the logarithms differ by at most this, where the probability is above rho / vocabulary.
  double logprob_error = 1e-3;
  /// At temperature 0, a token this close to the best is a tie, in nats.
  double tie_width = 0;

  bool operator==(const AuditTolerances&) const = default;
};

class TokenAudit {
 public:
  explicit TokenAudit(std::span<const double> rates = kRates) : bets_(kAlternatives, rates) {}

  [[nodiscard]] const RatioBets& bets() const { return bets_; }

  /// Adds the log factors of one token to `sums`, one per cell.
  void add(const TokenRecord& record, const Sampling& sampling, const Conduct& conduct,
           const AuditTolerances& tolerances, std::span<float> sums) const;

  /// Adds tokens that were to be looked at and left no record.
  void add_lost(std::uint64_t tokens, std::span<float> sums) const { bets_.add_lost(tokens, sums); }

 private:
  RatioBets bets_;
};

/// The ratios of one token, one per alternative; kNeutral where the parameters take an alternative out.
/// Requires: record.top not empty, sampling.vocabulary > record.top.size().
[[nodiscard]] std::array<double, kAlternatives> ratios(const TokenRecord& record, const Sampling& sampling,
                                                       const Conduct& conduct,
                                                       const AuditTolerances& tolerances);

/// Whether the null excludes the token but for its tolerance: at temperature 0 off the top, else cut by the
/// filters. At most rho of the tokens are. Nothing where the row leaves open whether a token is, whichever it
/// were. Requires: as of ratios, and a known temperature.
[[nodiscard]] std::optional<bool> excluded(const TokenRecord& record, const Sampling& sampling,
                                           const Conduct& conduct, const AuditTolerances& tolerances);

}  // namespace truekeel::evidence
