// SPDX-License-Identifier: Apache-2.0
#include "select/mass.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/mass.cc"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <numbers>

#include "base/assert.h"
#include "select/logarithm.h"
#include "select/parts-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {
namespace {

template <class E>
HWY_INLINE void block_parts(const E* block, Scale scale, PartsBuffer& parts) {
  TRUEKEEL_UNROLL
  for (std::uint32_t i = 0; i < kBlock; i += lanes()) parts.store(weight_parts(load(block + i), scale), i);
}

}  // namespace

/// Blocks without an element of at least `least` are taken for weightless.
std::uint64_t mass_of(const Blocks& blocks, const Ordinal* groups, Ordinal least, Scale scale,
                      std::uint64_t* block_mass) {
  PartsBuffer parts;
  return with_type(blocks.dtype, [&]<class E>(const E*) {
    std::uint64_t total = 0;
    for (std::uint32_t b = 0; b < blocks.count(); ++b) {
      block_mass[b] = 0;
      if (!any_at_least(groups + std::size_t{b} * kGroups, least)) continue;
      block_parts(reinterpret_cast<const E*>(blocks[b]), scale, parts);
      total += block_mass[b] = parts.sum(kBlock);
    }
    return total;
  });
}

void weights_of_block(const Blocks& blocks, std::uint32_t block, Scale scale, std::uint64_t* weights) {
  PartsBuffer parts;
  with_type(blocks.dtype,
            [&]<class E>(const E*) { block_parts(reinterpret_cast<const E*>(blocks[block]), scale, parts); });
  parts.copy(kBlock, weights);
}

/// Requires: ordinals may be read, and weights written, up to the next multiple of the vector length.
std::uint64_t weights_of(const Ordinal* ordinals, std::uint32_t count, Scale scale, std::uint64_t* weights) {
  PartsBuffer parts;
  std::uint64_t sum = 0;
  for (std::uint32_t begin = 0; begin < count; begin += kBlock) {
    const std::uint32_t here = std::min(kBlock, count - begin);
    std::uint32_t used = 0;
    for (; used < here; used += lanes()) {
      const IntV own = hn::LoadU(Ints(), ordinals + begin + used);
      const auto valid = hn::FirstN(Ints(), here - used);
      parts.store(
          weight_parts(values_of(hn::IfThenElse(valid, own, hn::Set(Ints(), kForbiddenOrdinal))), scale),
          used);
    }
    sum += parts.copy(used, weights + begin);
  }
  return sum;
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace truekeel::select {
namespace {

HWY_EXPORT(mass_of);
HWY_EXPORT(weights_of_block);
HWY_EXPORT(weights_of);

}  // namespace

std::uint64_t mass_of(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale,
                      std::span<std::uint64_t> block_mass) {
  TK_ASSERT(block_mass.size() >= blocks.count());
  return HWY_DYNAMIC_DISPATCH(mass_of)(blocks, groups.data(), weightless_below(scale), scale,
                                       block_mass.data());
}

void weights_of_block(const Blocks& blocks, std::uint32_t block, Scale scale, BlockWeights& weights) {
  HWY_DYNAMIC_DISPATCH(weights_of_block)(blocks, block, scale, weights.data());
}

std::uint64_t weights_of(std::span<const Ordinal> ordinals, Scale scale, std::span<std::uint64_t> weights) {
  TK_ASSERT(weights.size() == ordinals.size());
  return HWY_DYNAMIC_DISPATCH(weights_of)(ordinals.data(), static_cast<std::uint32_t>(ordinals.size()), scale,
                                          weights.data());
}

Ordinal weightless_below(Scale scale) {
  // A thousandth and one step more than needed: no rounding can make it too high.
  const float distance = 1.001f * (kExponentMax / scale.factor);
  return std::max(ordinal_of(scale.max - distance) - 1, kForbiddenOrdinal + 1);
}

Ordinal ordinal_with_weight(std::uint64_t least, Scale scale) {
  TK_ASSERT(least >= 1 && least <= kWeightMax);
  const auto enough = [&](std::int64_t ordinal) {
    return weight_of(value_of_ordinal(static_cast<Ordinal>(ordinal)), scale) >= least;
  };
  // An exponential of infinite precision would have it here; ours is near enough for a few steps.
  const double unit = static_cast<double>(kExponentOne) / static_cast<double>(scale.factor);  // an octave
  const double distance =
      (kWeightBits - natural_log(static_cast<double>(least)) * std::numbers::log2e) * unit;
  const auto at = [&](double away) { return ordinal_of(static_cast<float>(scale.max - away)); };
  std::int64_t low = kForbiddenOrdinal, high = ordinal_of(scale.max);  // high has enough, low has not
  const double margin = 0x1p-22 * distance + 0x1p-20 * unit;
  const std::int64_t near_low = at(distance + margin), near_high = at(distance - margin);
  if (near_low > low && !enough(near_low)) low = near_low;
  if (near_high < high && enough(near_high)) high = near_high;
  while (low + 1 < high) {
    const std::int64_t middle = low + (high - low) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return static_cast<Ordinal>(high);
}

}  // namespace truekeel::select
#endif
