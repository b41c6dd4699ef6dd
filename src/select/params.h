// SPDX-License-Identifier: Apache-2.0
// What a caller asks for, row by row. Thread safety: plain values; spans are borrowed until the call returns.
#pragma once

#include <cstdint>
#include <span>

#include "base/philox.h"
#include "select/chain.h"

namespace truekeel::select {

/// How often a token occurred. counted: in the window of presence and frequency penalties (vLLM: the answer;
/// llama.cpp: the last n tokens). repeated: whether the repetition penalty applies (HF: prompt and answer).
struct TokenCount {
  std::uint32_t id = 0;
  std::uint32_t counted = 0;
  std::uint32_t repeated = 1;  ///< 0 or 1
};

struct TokenBias {
  std::uint32_t id = 0;
  float bias = 0;  ///< added to the logit; finite (to forbid a token use the mask)

  bool operator==(const TokenBias&) const = default;
};

struct Params {
  Chain chain = {};
  float temperature = 1;    ///< 0: greedy, ties to the lower id; else 2^-64 to 2^64
  std::uint32_t top_k = 0;  ///< 0: off
  double top_p = 1;         ///< in [0, 1]; the least prefix with at least this share; 0 keeps one token
  double min_p = 0;         ///< in [0, 1]; least weight relative to the top token's
  /// repeated: x = x > 0 ? x / repetition : x * repetition; then x -= counted * frequency + (counted > 0) *
  /// presence.
  float repetition = 1, frequency = 0, presence = 0;
  std::span<const TokenCount> counts = {};      ///< ids ascending, each once
  std::span<const TokenBias> bias = {};         ///< ids ascending, each once
  std::span<const std::uint64_t> allowed = {};  ///< bit id % 64 of word id / 64; empty: all are allowed
};

/// 64 uniform bits. Equal bits give equal tokens; never derive them from a batch slot, a rank or a row.
struct Draw {
  std::uint64_t bits = 0;

  [[nodiscard]] static constexpr Draw at(std::uint64_t seed, std::uint64_t position,
                                         std::uint32_t stream = 0) {
    return {philox_bits(seed, position, stream)};
  }
};

}  // namespace truekeel::select
