// SPDX-License-Identifier: Apache-2.0
// What a selection returns: the token with its audit record, or what is wrong with the row.
// Thread safety: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <limits>

#include "base/error.h"
#include "select/key.h"

namespace truekeel::select {

/// The chosen token and its basic record. The token is the one whose interval holds the drawn point:
/// begin <= floor(bits * kept_weight / 2^64) < end. Rank, margin and keys are those after bias, penalties and
/// mask; "kept" are the tokens that survive every filter (one whose weight is 0 is never drawn).
struct Choice {
  std::uint32_t id = 0;
  std::uint32_t rank = 0;        ///< tokens before it in the order (key descending, id ascending)
  std::uint32_t key_margin = 0;  ///< top key - own key
  std::uint32_t kept_count = 0;
  std::uint64_t kept_weight = 0;  ///< sum of the kept weights, in units of 2^-44 of the top token's
  std::uint64_t begin = 0, end = 0;

  bool operator==(const Choice&) const = default;
};

/// Where tail masses are cut: below 1e-3, 1e-4 and 1e-5.
inline constexpr std::array<double, 3> kTailCuts = {1e-3, 1e-4, 1e-5};

/// The full record: the chosen token in the raw distribution, before bias, penalties, mask, temperature and
/// filters. Deterministic like the rest; the logarithm is ours.
struct FullRecord {
  double logprob = 0;     ///< natural logarithm of the raw probability
  double normaliser = 0;  ///< log-sum-exp of the raw row: logprob = logit - normaliser
  std::uint32_t top_id = 0;
  double top_margin = 0;              ///< top logit - own logit, nats
  std::array<double, 3> tail_mass{};  ///< raw probability of all tokens below each of kTailCuts

  bool operator==(const FullRecord&) const = default;
};

/// What can be wrong. Faults of one row never touch another.
enum class Fault : std::uint8_t {
  nan_logit = 1,      ///< id: the first such token
  infinite_logit,     ///< +inf, in the row or after bias and penalties; id: the first such token
  all_forbidden,      ///< every token is -inf or masked
  bad_temperature,    ///< negative, NaN, or outside 2^-64 to 2^64
  bad_top_p,          ///< outside [0, 1]
  bad_min_p,          ///< outside [0, 1]
  bad_penalty,        ///< not finite, or repetition not above 0
  bad_bias,           ///< not finite; id: the token
  id_out_of_range,    ///< id: a token of counts or bias that the vocabulary does not have
  ids_not_ascending,  ///< id: where counts or bias are out of order
  mask_too_short,     ///< fewer bits than tokens
  operation_missing,  ///< a parameter is set whose operation is not in the chain
  bad_vocabulary,     ///< no token, or more than kVocabularyMax
  bad_batch,          ///< stride below vocabulary, or spans that do not fit the rows
  workspace_too_small,
  shard_dtypes_differ,    ///< shards: those unlike shard 0
  shard_requests_differ,  ///< parameters, draw or vocabulary; shards: those unlike shard 0
  shard_ranges_differ,    ///< they do not cover the vocabulary in the order of ranks; shards: where it breaks
  transport_failed,
};

[[nodiscard]] const char* text_of(Fault fault);

struct Failure {
  static constexpr std::uint32_t kNoId = std::numeric_limits<std::uint32_t>::max();

  Fault fault{};
  std::uint32_t row = 0;
  std::uint32_t id = kNoId;
  std::uint64_t shards = 0;  ///< bit s for shard s; the last bit for 63 and all after it

  bool operator==(const Failure&) const = default;

  /// In words, naming row and token. Allocates.
  [[nodiscard]] Error to_error() const;
};

using Outcome = std::expected<Choice, Failure>;

}  // namespace truekeel::select
