// SPDX-License-Identifier: Apache-2.0
#include "select/guess.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/guess.cc"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "select/mass.h"
#include "select/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {

/// Takes the first elements of blocks that lie evenly spread: more blocks tell more, for neighbours are
/// alike. Returns the sum of their weights.
float take_sample(const Blocks& blocks, Scale scale, Ordinal* sample, float* weights) {
  const Floats df;
  FloatV sum = hn::Zero(df);
  with_type(blocks.dtype, [&]<class E>(const E*) {
    const std::uint32_t strips = std::min(std::bit_floor(blocks.count()), kSampleSize / kGroups);
    const std::uint32_t length = kSampleSize / strips;
    for (std::uint32_t strip = 0; strip < strips; ++strip) {
      const std::uint32_t block = strip * (blocks.count() / strips);
      const auto* from = reinterpret_cast<const E*>(blocks[block]);
      for (std::uint32_t i = 0; i < length; i += lanes()) {
        const FloatV x = load(from + i);
        const WeightParts parts = weight_parts(x, scale);
        const WordV shift = parts.shift();
        // mantissa * 2^-shift, as a float: the shift goes into the exponent.
        const auto exponent = hn::ShiftLeft<23>(hn::Sub(hn::Set(Words(), 127), shift));
        const FloatV mantissa = hn::ConvertTo(df, hn::BitCast(Ints(), parts.mantissa));
        const auto light = hn::Gt(hn::BitCast(Ints(), shift), hn::Set(Ints(), 63));
        const FloatV weight =
            hn::IfThenZeroElse(hn::RebindMask(df, light), hn::Mul(mantissa, hn::BitCast(df, exponent)));
        hn::StoreU(ordinals(x), Ints(), sample + std::size_t{strip} * length + i);
        hn::StoreU(weight, df, weights + std::size_t{strip} * length + i);
        sum = hn::Add(sum, weight);
      }
    }
  });
  return hn::GetLane(hn::SumOfLanes(df, sum));
}

/// The sum of the weights of all below, and that of their squares.
void tail_below(const Ordinal* sample, const float* weights, Ordinal limit, float* sum, float* squares) {
  const Floats df;
  const Ints di;
  FloatV total = hn::Zero(df), total_squares = total;
  for (std::uint32_t i = 0; i < kSampleSize; i += lanes()) {
    const auto over = hn::RebindMask(df, at_least(di, hn::LoadU(di, sample + i), limit));
    const FloatV weight = hn::IfThenZeroElse(over, hn::LoadU(df, weights + i));
    total = hn::Add(total, weight);
    total_squares = hn::Add(total_squares, hn::Mul(weight, weight));
  }
  *sum = hn::GetLane(hn::SumOfLanes(df, total));
  *squares = hn::GetLane(hn::SumOfLanes(df, total_squares));
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace truekeel::select {
namespace {

HWY_EXPORT(take_sample);
HWY_EXPORT(tail_below);

/// Some elements of a row with their weights, in units of 2^32 of the fixed-point ones.
class Sample {
 public:
  struct Tail {
    float sum = 0, squares = 0;
  };

  Sample(const Blocks& blocks, Scale scale)
      : mass_(HWY_DYNAMIC_DISPATCH(take_sample)(blocks, scale, ordinals_.data(), weights_.data())) {}

  [[nodiscard]] float mass() const { return mass_; }
  [[nodiscard]] Tail below(Ordinal limit) const {
    Tail tail;
    HWY_DYNAMIC_DISPATCH(tail_below)(ordinals_.data(), weights_.data(), limit, &tail.sum, &tail.squares);
    return tail;
  }

  /// An ordinal in [low, high) below which about this much lies: within a fortieth, or as near as a fine
  /// step.
  [[nodiscard]] Ordinal find(float wanted, Ordinal low, Ordinal high) const {
    constexpr Ordinal kFine = 1 << 15;  // 2^-8 of the value: a sample knows no better
    while (static_cast<std::int64_t>(high) - low > kFine) {
      const auto middle = static_cast<Ordinal>(low + (static_cast<std::int64_t>(high) - low) / 2);
      const float sum = below(middle).sum;
      if (std::fabs(sum - wanted) <= 0.025f * wanted) return middle;
      (sum < wanted ? low : high) = middle;
    }
    return low;
  }

 private:
  alignas(64) std::array<Ordinal, kSampleSize> ordinals_;
  alignas(64) std::array<float, kSampleSize> weights_;
  float mass_;
};

}  // namespace

Bracket guess(const Blocks& blocks, Scale scale, std::uint64_t dropped, float errors) {
  if (blocks.size < 4 * kSampleSize) return kWholeRow;
  const Sample sample(blocks, scale);
  const float wanted = static_cast<float>(dropped) * 0x1p-32f * kSampleSize / static_cast<float>(blocks.size);
  const Ordinal bottom = weightless_below(scale), top = ordinal_of(scale.max) + 1;
  const Ordinal middle = wanted < sample.mass() ? sample.find(wanted, bottom, top) : top;
  const float spread = errors * std::sqrt(sample.below(middle).squares) + 0.025f * wanted;
  Bracket bracket = kWholeRow;
  // Where all of the sample is dropped, the threshold is above nearly all of it: then half of it tells
  // enough.
  if (wanted > spread)
    bracket.low = sample.find(std::min(wanted - spread, sample.mass() / 2), bottom, middle);
  if (wanted + spread < sample.mass())
    bracket.high = std::max(bracket.low, sample.find(wanted + spread, middle, top));
  return bracket;
}

}  // namespace truekeel::select
#endif
