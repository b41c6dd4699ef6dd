// SPDX-License-Identifier: Apache-2.0
// The distribution that one token should have been drawn from, as far as a partial record shows it: weights
// of the listed tokens, and bounds on everything that the record leaves open. Thread safety: pure functions
// and values.
//
// A record that lists the top tokens decides most rows: where top-k, top-p or min-p end inside the list the
// distribution is known exactly ("closed"); otherwise the tokens not listed have a total weight between two
// bounds ("open"). The null is then a family of distributions, and a bet must be fair under each of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace truekeel::evidence {

/// Which distribution the reported logprobs are of.
enum class LogprobKind {
  raw,       ///< softmax of the logits; every step below is still to come
  tempered,  ///< after temperature, before the filters
  drawn,     ///< after everything; tokens that cannot be drawn are not listed
};

enum class Step : std::uint8_t { temperature, top_k, top_p, min_p };

/// What an engine does between logits and draw: its steps in the order in which it takes them.
struct Conduct {
  LogprobKind logprobs = LogprobKind::raw;
  std::array<Step, 4> order = {Step::temperature, Step::top_k, Step::top_p, Step::min_p};
  bool keeps_ties = true;  ///< top-k keeps all tokens that tie with the k-th, or may
};

/// The effective parameters of one request. Penalties, bias, grammar, speculative decoding and shared seeds
/// are not modelled: such requests are not audited, by a rule on the request alone.
struct Sampling {
  std::optional<double> temperature = 1;  ///< nullopt: unknown, and then nothing can be said
  bool filters_known = true;              ///< false: top_k, top_p and min_p are unknown and ignored here
  std::uint32_t top_k = 0;                ///< 0: off
  double top_p = 1;
  double min_p = 0;
  std::uint32_t vocabulary = 0;  ///< tokens that can be drawn at all
};

inline constexpr std::uint32_t kUnknownRank = ~0u;

enum class DrawCheck : std::uint8_t { unknown, matches, differs };

/// What is known about one drawn token. Holds no token and no text.
struct TokenRecord {
  /// Logprobs of the best tokens, descending. How many must not depend on the token that was drawn: an engine
  /// that puts the drawn token in the place of the last one lists one fewer here (see reported_row.h).
  std::span<const float> top;
  float logprob = 0;                    ///< of the drawn token
  std::uint32_t rank = kUnknownRank;    ///< of the drawn token, from 0; below top.size() it is top[rank]
  bool forbidden = false;               ///< outside the mask that was declared for this position
  DrawCheck draw = DrawCheck::unknown;  ///< whether the known seed selects this token

  // The full record of our own worker; 0 where it is not given.
  std::array<float, 3> mass_below = {};  ///< reported mass of all tokens below 1e-3, 1e-4, 1e-5
  bool has_mass = false;
  double kept_weight = 0;  ///< sum of the weights that can be drawn, in units of the best token's
};

/// Slack for comparisons at the edges of the filters, relative: engines sum in single precision.
inline constexpr double kEdgeSlack = 1e-5;

struct DrawNull {
  static constexpr std::size_t kListedMax = 64;  ///< more are not used

  std::array<double, kListedMax> weight;      ///< of the listed tokens at the draw; the best has 1
  std::array<double, kListedMax + 1> prefix;  ///< sums of the first i weights
  std::size_t listed = 0;
  /// Between `least` and `most` of the listed tokens can be drawn, always the first ones; least >= 1.
  std::size_t least = 0, most = 0;
  /// Bounds on the weight of the tokens not listed that can be drawn; both 0 unless most == listed.
  double rest_least = 0, rest_most = 0;
  bool open = true;               ///< tokens that are not listed can be drawn
  std::size_t drawable_most = 0;  ///< tokens that can be drawn, at most

  bool possible = true;   ///< the drawn token can be drawn
  std::size_t drawn = 0;  ///< its index, or `listed` when it is not listed
  double drawn_weight = 0;

  [[nodiscard]] double total_least() const {
    return least < listed ? prefix[least] : prefix[listed] + rest_least;
  }
  [[nodiscard]] double total_most() const { return prefix[most] + rest_most; }
};

/// Requires: record.top not empty and descending, sampling.temperature > 0, sampling.vocabulary > top.size().
[[nodiscard]] DrawNull draw_null(const TokenRecord& record, const Sampling& sampling, const Conduct& conduct);

}  // namespace truekeel::evidence
