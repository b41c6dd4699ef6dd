// SPDX-License-Identifier: Apache-2.0
// Sums of the weights of one block. Thread safety: the buffer serves one call at a time.

#if defined(TRUEKEEL_SELECT_PARTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TRUEKEEL_SELECT_PARTS_INL_H
#undef TRUEKEEL_SELECT_PARTS_INL_H
#else
#define TRUEKEEL_SELECT_PARTS_INL_H
#endif

#include "select/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {

/// Mantissas and shifts of a block, between the pass that computes them in 32-bit lanes and the one that
/// shifts them in 64-bit lanes. Going through memory splits even from odd lanes in the load units, which have
/// nothing else to do: 5 % less time than in registers.
struct PartsBuffer {
  // Slack on either side for the loads that are off by one lane.
  alignas(64) std::uint32_t mantissas[16 + kBlock + 16];
  alignas(64) std::uint32_t shifts[16 + kBlock + 16];

  [[nodiscard]] std::uint32_t* mantissa() { return mantissas + 16; }
  [[nodiscard]] std::uint32_t* shift() { return shifts + 16; }
  [[nodiscard]] std::uint64_t weight(std::uint32_t i) {
    return shift()[i] > 63 ? 0 : (static_cast<std::uint64_t>(mantissa()[i]) << 32) >> shift()[i];
  }

  HWY_INLINE void store(const WeightParts& parts, std::uint32_t at) {
    hn::Store(parts.mantissa, Words(), mantissa() + at);
    hn::Store(parts.shift, Words(), shift() + at);
  }
};

#if HWY_TARGET == HWY_SCALAR
/// Sums the first weights. Requires: count is a multiple of the vector length.
HWY_INLINE std::uint64_t sum_weights(PartsBuffer& parts, std::uint32_t count) {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) sum += parts.weight(i);
  return sum;
}
#else
/// Sums the first weights. Requires: count is a multiple of the vector length.
HWY_INLINE std::uint64_t sum_weights(PartsBuffer& parts, std::uint32_t count) {
  const Words dw;
  const hn::Repartition<std::uint64_t, Words> d64;
  // Hidden from the compiler, which would turn masked loads by a constant into loads and ANDs.
  std::uint64_t low_half = 0xffffffff;
  asm volatile("" : "+r"(low_half));
  const auto low = hn::MaskFromVec(hn::BitCast(dw, hn::Set(d64, low_half)));
  const auto high = hn::MaskFromVec(hn::BitCast(dw, hn::Set(d64, ~low_half)));
  const auto masked = [&](auto mask, const std::uint32_t* from) {
    return hn::BitCast(d64, hn::IfThenElseZero(mask, hn::LoadU(dw, from)));
  };
  auto even = hn::Zero(d64), odd = hn::Zero(d64);
  const std::uint32_t* const mantissa = parts.mantissa();
  const std::uint32_t* const shift = parts.shift();
  for (std::uint32_t i = 0; i < count; i += lanes()) {
    even = hn::Add(even, hn::Shr(masked(high, mantissa + i - 1), masked(low, shift + i)));
    odd = hn::Add(odd, hn::Shr(masked(high, mantissa + i), masked(low, shift + i + 1)));
  }
  return hn::GetLane(hn::SumOfLanes(d64, hn::Add(even, odd)));
}
#endif

/// Writes the first weights in order and returns their sum. Requires: count is a multiple of the vector
/// length.
HWY_INLINE std::uint64_t store_weights(PartsBuffer& parts, std::uint32_t count, std::uint64_t* to) {
  const hn::CappedTag<std::uint64_t, kGroups / 2> d64;
  const hn::Rebind<std::uint32_t, decltype(d64)> dw;
  auto sum = hn::Zero(d64);
  for (std::uint32_t i = 0; i < count; i += static_cast<std::uint32_t>(hn::Lanes(d64))) {
    const auto mantissa = hn::ShiftLeft<32>(hn::PromoteTo(d64, hn::LoadU(dw, parts.mantissa() + i)));
    const auto weight = hn::Shr(mantissa, hn::PromoteTo(d64, hn::LoadU(dw, parts.shift() + i)));
    hn::StoreU(weight, d64, to + i);
    sum = hn::Add(sum, weight);
  }
  return hn::GetLane(hn::SumOfLanes(d64, sum));
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
