// SPDX-License-Identifier: Apache-2.0
// The records of tokens in an answer, as numbers: what the audit needs, and no text. Reads chat's logprobs
// of every dialect, the older lists of completions where they hold such records too, and the `audit` arrays
// of our own worker (docs/worker-api.md). Thread safety: a reader serves one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/json.h"

namespace truekeel::protocol {

inline constexpr std::uint32_t kNoNumber = ~0u;

/// What the `audit` array of one token says.
struct DrawNumbers {
  std::uint32_t position = 0;
  std::uint64_t kept_weight = 0;  ///< in units of 2^-44 of the best token's weight
  std::uint64_t begin = 0, end = 0;

  bool full = false;  ///< what follows is stated
  double logprob = 0, top_margin = 0;
  std::array<double, 3> mass_below = {};  ///< 1e-3, 1e-4, 1e-5

  bool operator==(const DrawNumbers&) const = default;
};

struct RecordedToken {
  double logprob = 0;
  std::uint32_t id = kNoNumber;
  std::uint32_t rank = kNoNumber;       ///< as stated by the server, from 0
  std::uint32_t first = 0, listed = 0;  ///< its alternatives, in TokenRecords::top
  std::uint32_t drawn = kNoNumber;      ///< which of them is the token itself, or as probable
  bool continues_character = false;     ///< its first byte is not the first of a character
  std::uint32_t draw = kNoNumber;       ///< into TokenRecords::draws

  bool operator==(const RecordedToken&) const = default;
};

/// Records in the order of the answer.
struct TokenRecords {
  std::vector<RecordedToken> tokens;
  std::vector<float> top;  ///< logprobs of alternatives, in the order in which the server lists them
  std::vector<DrawNumbers> draws;

  [[nodiscard]] std::span<const float> alternatives(const RecordedToken& token) const {
    return std::span(top).subspan(token.first, token.listed);
  }
  void clear();
};

/// More alternatives of a token are not read, and more tokens of one answer are an error.
inline constexpr std::uint32_t kAlternativesMax = 64;
inline constexpr std::size_t kRecordsMax = 1u << 18;

class TokenRecordReader {
 public:
  /// Replaces `out` by the tokens of one choice. logprobs, audit: the values of its members of these names,
  /// empty where there is none.
  /// Error::invalid_argument when they are not JSON or not of a known shape, or when both are given and
  /// speak of different numbers of tokens; Error::too_large beyond kRecordsMax. `out` then holds part of
  /// them.
  [[nodiscard]] Result<void> read(std::string_view logprobs, std::string_view audit, TokenRecords& out);

 private:
  [[nodiscard]] Result<void> read_logprobs(std::string_view logprobs, TokenRecords& out);
  [[nodiscard]] Result<void> read_audit(std::string_view audit, bool alone, TokenRecords& out);

  JsonParser parser_;
};

}  // namespace truekeel::protocol
