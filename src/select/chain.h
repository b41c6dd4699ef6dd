// SPDX-License-Identifier: Apache-2.0
// The declared order of operations on a row. Thread safety: plain values.
// Invariant: an operation stands in a chain at most once, and those that change logits (bias, penalties,
// mask) stand before temperature and filters; hence what is kept is always a prefix of the one order (key
// descending, id ascending).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace truekeel::select {

enum class Op : std::uint8_t { bias, penalties, mask, temperature, top_k, top_p, min_p };

inline constexpr std::size_t kOps = 7;

class Chain {
 public:
  /// bias, penalties, mask, temperature, top_k, top_p, min_p: top-p on the mass that top-k left.
  constexpr Chain()
      : Chain({Op::bias, Op::penalties, Op::mask, Op::temperature, Op::top_k, Op::top_p, Op::min_p}) {}

  /// llama.cpp's defaults: filters on the distribution at temperature 1, temperature last.
  static constexpr Chain llama_cpp() {
    return {Op::bias, Op::mask, Op::penalties, Op::top_k, Op::top_p, Op::min_p, Op::temperature};
  }
  /// vLLM (V1): mask and bias, penalties, temperature, min-p on all, then top-k and top-p.
  static constexpr Chain vllm() {
    return {Op::mask, Op::bias, Op::penalties, Op::temperature, Op::min_p, Op::top_k, Op::top_p};
  }
  /// Hugging Face transformers: processors, then the warpers temperature, top-k, top-p, min-p.
  static constexpr Chain hf() {
    return {Op::penalties, Op::bias, Op::mask, Op::temperature, Op::top_k, Op::top_p, Op::min_p};
  }

  /// ErrorCode::invalid_argument when the invariant would be broken.
  [[nodiscard]] static Result<Chain> make(std::span<const Op> ops);
  /// Reads "standard", "llama.cpp", "vllm", "hf" or names joined by commas, as in
  /// "penalties,top_k,temperature".
  [[nodiscard]] static Result<Chain> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  [[nodiscard]] constexpr std::span<const Op> ops() const { return std::span(ops_).first(size_); }
  [[nodiscard]] constexpr bool has(Op op) const {
    for (const Op own : ops())
      if (own == op) return true;
    return false;
  }

  bool operator==(const Chain&) const = default;

 private:
  constexpr Chain(std::initializer_list<Op> ops) {
    for (const Op op : ops) ops_[size_++] = op;
  }

  std::array<Op, kOps> ops_{};
  std::uint8_t size_ = 0;
};

[[nodiscard]] std::string_view name_of(Op op);

/// Bias, penalties and mask change logits; the others scale or filter.
[[nodiscard]] constexpr bool changes_logits(Op op) { return op <= Op::mask; }

}  // namespace truekeel::select
