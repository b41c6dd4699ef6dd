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

#undef TRUEKEEL_SHRDV
// Shifts of 64 bits that look at six bits of their count alone.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL
#define TRUEKEEL_SHRDV 1
#else
#define TRUEKEEL_SHRDV 0
#endif

#undef TRUEKEEL_UNROLL
// Loops over a block: 4 % less time than with a branch for each vector.
#define TRUEKEEL_UNROLL _Pragma("GCC unroll 16")

/// Mantissas and shifts of a block, between the pass that computes them in 32-bit lanes and the one that
/// shifts them in 64-bit lanes. Going through memory splits even from odd lanes in the load units, which have
/// nothing else to do: 5 % less time than in registers.
class PartsBuffer {
 public:
  HWY_INLINE void store(const WeightParts& parts, std::uint32_t at) {
    hn::Store(parts.mantissa, Words(), mantissa() + at);
#if TRUEKEEL_SHRDV
    // In one instruction: the upper byte becomes the shift, modulo 64, and at most 63. Neither a shift right
    // nor a mask is needed then: loads three bytes further on have it as their lowest byte.
    constexpr std::uint32_t kBase = (256 - 64 + kShiftBase) % 256;
    static_assert(kBase % 64 == kShiftBase);
    hn::Store(WordV{_mm512_adds_epu8(parts.fixed.raw, _mm512_set1_epi32(static_cast<int>(kBase << 24)))},
              Words(), shift() + at);
#else
    hn::Store(parts.shift(), Words(), shift() + at);
#endif
  }

  /// Sums the first weights. Requires: count is a multiple of the vector length.
  [[nodiscard]] HWY_INLINE std::uint64_t sum(std::uint32_t count) const;

  /// Writes the first weights in order and returns their sum. Requires: as above.
  HWY_INLINE std::uint64_t copy(std::uint32_t count, std::uint64_t* to) const;

 private:
  [[nodiscard]] HWY_INLINE std::uint32_t* mantissa() { return mantissas_ + 16; }
  [[nodiscard]] HWY_INLINE std::uint32_t* shift() { return shifts_ + 16; }
  [[nodiscard]] HWY_INLINE const std::uint32_t* mantissa() const { return mantissas_ + 16; }
  [[nodiscard]] HWY_INLINE const std::uint32_t* shift() const { return shifts_ + 16; }

  // Slack on either side for the loads that are off by one lane.
  alignas(64) std::uint32_t mantissas_[16 + kBlock + 16];
  alignas(64) std::uint32_t shifts_[16 + kBlock + 16];
};

#if HWY_TARGET == HWY_SCALAR
std::uint64_t PartsBuffer::sum(std::uint32_t count) const {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i)
    sum += shift()[i] > 63 ? 0 : (static_cast<std::uint64_t>(mantissa()[i]) << 32) >> shift()[i];
  return sum;
}
#else
std::uint64_t PartsBuffer::sum(std::uint32_t count) const {
  const Words dw;
  const hn::Repartition<std::uint64_t, Words> d64;
  // Hidden from the compiler, which would turn masked loads by a constant into loads and ANDs.
  std::uint64_t low_half = 0xffffffff;
  asm volatile("" : "+r"(low_half));
  const auto high = hn::MaskFromVec(hn::BitCast(dw, hn::Set(d64, ~low_half)));
  const auto masked = [&](auto mask, const std::uint32_t* from) {
    return hn::BitCast(d64, hn::IfThenElseZero(mask, hn::LoadU(dw, from)));
  };
#if TRUEKEEL_SHRDV
  const auto even_mantissa = [&](std::uint32_t i) {
    return hn::ShiftLeft<32>(hn::BitCast(d64, hn::LoadU(dw, mantissa() + i)));
  };
  const auto shifted = [&](auto value, const std::uint32_t* by) {
    const auto* upper_byte = reinterpret_cast<const std::uint8_t*>(by) + 3;
    return hn::VFromD<decltype(d64)>{
        _mm512_shrdv_epi64(value.raw, _mm512_setzero_si512(), _mm512_loadu_si512(upper_byte))};
  };
#else
  const auto low = hn::MaskFromVec(hn::BitCast(dw, hn::Set(d64, low_half)));
  const auto even_mantissa = [&](std::uint32_t i) { return masked(high, mantissa() + i - 1); };
  const auto shifted = [&](auto value, const std::uint32_t* by) { return hn::Shr(value, masked(low, by)); };
#endif
  auto even = hn::Zero(d64), odd = hn::Zero(d64);
  TRUEKEEL_UNROLL
  for (std::uint32_t i = 0; i < count; i += lanes()) {
    even = hn::Add(even, shifted(even_mantissa(i), shift() + i));
    odd = hn::Add(odd, shifted(masked(high, mantissa() + i), shift() + i + 1));
  }
  return hn::GetLane(hn::SumOfLanes(d64, hn::Add(even, odd)));
}
#endif

std::uint64_t PartsBuffer::copy(std::uint32_t count, std::uint64_t* to) const {
  const hn::CappedTag<std::uint64_t, kGroups / 2> d64;
  const hn::Rebind<std::uint32_t, decltype(d64)> dw;
  auto sum = hn::Zero(d64);
  for (std::uint32_t i = 0; i < count; i += static_cast<std::uint32_t>(hn::Lanes(d64))) {
    const auto value = hn::ShiftLeft<32>(hn::PromoteTo(d64, hn::LoadU(dw, mantissa() + i)));
    auto by = hn::PromoteTo(d64, hn::LoadU(dw, shift() + i));
    if (TRUEKEEL_SHRDV) by = hn::And(hn::ShiftRight<24>(by), hn::Set(d64, 63));
    const auto weight = hn::Shr(value, by);
    hn::StoreU(weight, d64, to + i);
    sum = hn::Add(sum, weight);
  }
  return hn::GetLane(hn::SumOfLanes(d64, sum));
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
