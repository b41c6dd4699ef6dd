// SPDX-License-Identifier: Apache-2.0
// What the vector code of all files shares, compiled once per target by Highway: loads, ordinals, weights.
// Thread safety: pure functions.
// Invariant: every function gives the bits of its scalar counterpart in key.h, blocks.h and weight.h.

#if defined(TRUEKEEL_SELECT_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TRUEKEEL_SELECT_SIMD_INL_H
#undef TRUEKEEL_SELECT_SIMD_INL_H
#else
#define TRUEKEEL_SELECT_SIMD_INL_H
#endif

#include <hwy/highway.h>

#include "select/blocks.h"
#include "select/candidates.h"
#include "select/weight.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, kGroups>;
using Ints = hn::RebindToSigned<Floats>;
using Words = hn::RebindToUnsigned<Floats>;
using FloatV = hn::VFromD<Floats>;
using IntV = hn::VFromD<Ints>;
using WordV = hn::VFromD<Words>;
using IntM = decltype(hn::Eq(IntV(), IntV()));

/// first, first + 1, ... (Highway's Iota builds the vector lane by lane when it gets no constant.)
HWY_INLINE WordV ids_from(std::uint32_t first) {
  return hn::Add(hn::Iota(Words(), 0), hn::Set(Words(), first));
}

HWY_INLINE std::uint32_t lanes() { return static_cast<std::uint32_t>(hn::Lanes(Floats())); }

#undef TRUEKEEL_AVX
// What AVX instructions do beyond their range is what we need: conversions of 2^31 and more give 2^31, shifts
// by 64 and more give 0. So no clamp of z, and not Highway's ConvertTo, which spends as much again on
// overflow.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
#define TRUEKEEL_AVX 1
#else
#define TRUEKEEL_AVX 0
#endif

// One tag type per element type, so that loads are chosen by overload.
struct F16 {
  hwy::float16_t bits;
};
struct Bf16 {
  std::uint16_t bits;
};

HWY_INLINE FloatV load(const float* from) { return hn::LoadU(Floats(), from); }
HWY_INLINE FloatV load(const F16* from) {
#if TRUEKEEL_AVX
  return hn::PromoteTo(Floats(), hn::LoadU(hn::Rebind<hwy::float16_t, Floats>(), &from->bits));
#else
  // Highway's own conversion knows neither infinities nor NaN where the hardware has none.
  const Words dw;
  const auto half =
      hn::LoadU(hn::Rebind<std::uint16_t, Floats>(), reinterpret_cast<const std::uint16_t*>(from));
  const WordV bits = hn::PromoteTo(dw, half), magnitude = hn::And(bits, hn::Set(dw, 0x7fff));
  const IntV compared = hn::BitCast(Ints(), magnitude);
  const WordV rebias = hn::Set(dw, 112u << 23);
  const WordV special = hn::VecFromMask(dw, hn::RebindMask(dw, hn::Gt(compared, hn::Set(Ints(), 0x7bff))));
  const WordV normal = hn::Add(hn::Add(hn::ShiftLeft<13>(magnitude), rebias), hn::And(special, rebias));
  const FloatV small = hn::Mul(hn::ConvertTo(Floats(), compared), hn::Set(Floats(), 0x1p-24f));
  const auto is_small = hn::RebindMask(Floats(), hn::Lt(compared, hn::Set(Ints(), 0x0400)));
  const FloatV value = hn::IfThenElse(is_small, small, hn::BitCast(Floats(), normal));
  const WordV sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(dw, 0x8000)));
  return hn::Or(value, hn::BitCast(Floats(), sign));
#endif
}
HWY_INLINE FloatV load(const Bf16* from) {
  const auto half = hn::LoadU(hn::Rebind<std::uint16_t, Floats>(), &from->bits);
  return hn::BitCast(Floats(), hn::ShiftLeft<16>(hn::PromoteTo(Words(), half)));
}

/// Calls f with a pointer of the element type that dtype names.
template <class F>
HWY_INLINE auto with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f16:
      return f(static_cast<const F16*>(nullptr));
    case DType::bf16:
      return f(static_cast<const Bf16*>(nullptr));
    case DType::f32:
      break;
  }
  return f(static_cast<const float*>(nullptr));
}

HWY_INLINE IntV ordinals(FloatV values) {
  const Ints d;
  const IntV bits = hn::BitCast(d, values), sign = hn::ShiftRight<31>(bits);
  return hn::Sub(hn::Xor(hn::And(bits, hn::Set(d, 0x7fffffff)), sign), sign);
}

HWY_INLINE FloatV values_of(IntV ordinals) {
  const Ints d;
  const IntV sign = hn::ShiftRight<31>(ordinals);
  const IntV magnitude = hn::Sub(hn::Xor(ordinals, sign), sign);
  return hn::BitCast(Floats(),
                     hn::Or(magnitude, hn::And(sign, hn::Set(d, static_cast<std::int32_t>(kSignBit)))));
}

/// Truncates; not by Highway's ConvertTo, which spends as much again on overflow. Requires: 0 <= value; with
/// AVX any value from 2^31 on gives 2^31, elsewhere it must be less.
HWY_INLINE WordV truncate(FloatV value) {
#if TRUEKEEL_AVX && HWY_TARGET == HWY_AVX2
  return WordV{_mm256_cvttps_epi32(value.raw)};
#elif TRUEKEEL_AVX
  return WordV{_mm512_cvttps_epi32(value.raw)};
#else
  return hn::BitCast(Words(), hn::ConvertTo(Ints(), value));
#endif
}

/// The weight of x is (mantissa << 32) >> shift; see weight_of.
struct WeightParts {
  WordV mantissa;
  WordV fixed;  ///< the exponent; its upper byte counts octaves below the top

  [[nodiscard]] HWY_INLINE WordV shift() const {
    const WordV base = hn::Set(Words(), static_cast<std::uint32_t>(kShiftBase) << kExponentBits);
    return hn::ShiftRight<kExponentBits>(hn::Add(fixed, base));
  }
};

HWY_INLINE FloatV exponents(FloatV x, Scale scale) {
  const Floats df;
  const FloatV z = hn::Mul(hn::Sub(hn::Set(df, scale.max), x), hn::Set(df, scale.factor));
  return TRUEKEEL_AVX ? z : hn::Min(z, hn::Set(df, kExponentMax));
}

HWY_INLINE WeightParts weight_parts(FloatV x, Scale scale) {
  const Floats df;
  const Words dw;
  const WordV fixed = truncate(exponents(x, scale));
  const WordV fraction = hn::And(fixed, hn::Set(dw, 0xffffff));
  const FloatV f = hn::ConvertTo(df, hn::BitCast(Ints(), fraction));
  const FloatV q = hn::Mul(f, hn::Sub(hn::Set(df, kExponentOne), f));
  const FloatV slope = hn::MulAdd(hn::Set(df, kSagD), f, hn::Set(df, kSagG));  // equal bits, fused or not
  const FloatV h = hn::Add(hn::Mul(hn::Add(q, hn::Set(df, kSagU)), slope), hn::Set(df, kSagW));
  const WordV sag = truncate(hn::Mul(q, h));
  const WordV line = hn::Sub(hn::Set(dw, 1u << kMantissaBits), fraction);
  return {hn::Sub(line, sag), fixed};
}

/// Highway compares integers only by < and >. Requires: least is above the least integer.
template <class D>
HWY_INLINE auto at_least(D d, hn::VFromD<D> values, Ordinal least) {
  return hn::Gt(values, hn::Set(d, least - 1));
}

/// Which values have an ordinal of at least a limit, without computing ordinals: above zero the bits of a
/// value compare as its ordinal does; at and below zero, with all bits but the sign flipped, they descend
/// with it.
class Reaches {
 public:
  HWY_INLINE explicit Reaches(Ordinal least)
      : flip_(hn::Set(Ints(), least > 0 ? 0 : 0x7fffffff)),
        limit_(hn::Set(Ints(), least > 0 ? least - 1 : least - 2)) {}

  HWY_INLINE IntM operator()(FloatV values) const {
    return hn::Gt(hn::Xor(hn::BitCast(Ints(), values), flip_), limit_);
  }

 private:
  const IntV flip_, limit_;
};

/// Whether any group of a block has a maximum of at least this.
HWY_INLINE bool any_at_least(const Ordinal* groups, Ordinal least) {
  const Ints di;
  for (std::uint32_t i = 0; i < kGroups; i += lanes())
    if (!hn::AllFalse(di, at_least(di, hn::LoadU(di, groups + i), least))) return true;
  return false;
}

/// How many groups of a block have a maximum of at least this.
HWY_INLINE std::size_t groups_at_least(const Ordinal* groups, Ordinal least) {
  const Ints di;
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < kGroups; i += lanes())
    count += hn::CountTrue(di, at_least(di, hn::LoadU(di, groups + i), least));
  return count;
}

/// Appends the masked lanes of one vector to a list, as they are: settle() makes ordinals of them.
HWY_INLINE void append(Candidates& list, IntM mask, FloatV values, WordV id) {
  const Ints di;
  hn::StoreU(hn::Compress(hn::BitCast(di, values), mask), di, list.ordinals + list.count);
  hn::StoreU(hn::Compress(id, hn::RebindMask(Words(), mask)), Words(), list.ids + list.count);
  list.count += static_cast<std::uint32_t>(hn::CountTrue(di, mask));
}

/// Turns what was appended behind the first `done` elements into ordinals.
HWY_INLINE void settle(const Candidates& list, std::uint32_t done) {
  for (std::uint32_t i = done; i < list.count; i += lanes()) {
    const FloatV values = hn::BitCast(Floats(), hn::LoadU(Ints(), list.ordinals + i));
    hn::StoreU(ordinals(values), Ints(), list.ordinals + i);
  }
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
