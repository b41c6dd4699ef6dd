// SPDX-License-Identifier: Apache-2.0
#include "select/tail.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/tail.cc"
#include <hwy/foreach_target.h>

#include <algorithm>

#include "base/assert.h"
#include "select/parts-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {
namespace {

/// Branches on hits where they are rare; where not, storing nothing costs less than a mispredicted branch.
template <bool kRare, class E>
HWY_INLINE float* pack_block(const E* block, const Reaches& reaches, float* to) {
  TRUEKEEL_UNROLL
  for (std::uint32_t i = 0; i < kBlock; i += lanes()) {
    const FloatV x = load(block + i);
    const IntM mask = reaches(x);
    if (kRare && hn::AllFalse(Ints(), mask)) continue;
    hn::StoreU(hn::Compress(x, hn::RebindMask(Floats(), mask)), Floats(), to);
    to += hn::CountTrue(Ints(), mask);
  }
  return to;
}

std::size_t pack_row(const Blocks& blocks, const Ordinal* groups, Ordinal least, float* values) {
  return with_type(blocks.dtype, [&]<class E>(const E*) {
    const Reaches reaches(least);
    float* to = values;
    for (std::uint32_t b = 0; b < blocks.count(); ++b) {
      const std::size_t hits = groups_at_least(groups + std::size_t{b} * kGroups, least);
      if (hits == 0) continue;
      const auto* block = reinterpret_cast<const E*>(blocks[b]);
      to = hits == 1 ? pack_block<true>(block, reaches, to) : pack_block<false>(block, reaches, to);
    }
    return static_cast<std::size_t>(to - values);
  });
}

/// Keeps what reaches a higher cut; returns how many.
std::size_t retain(float* values, std::size_t count, Ordinal least) {
  const Reaches reaches(least);
  float* to = values;
  for (std::size_t i = 0; i < count; i += lanes()) {
    const FloatV x = load(values + i);
    const IntM mask = hn::And(reaches(x), hn::FirstN(Ints(), count - i));
    hn::StoreU(hn::Compress(x, hn::RebindMask(Floats(), mask)), Floats(), to);
    to += hn::CountTrue(Ints(), mask);
  }
  return static_cast<std::size_t>(to - values);
}

std::uint64_t mass_of_values(const float* values, std::size_t count, Scale scale) {
  PartsBuffer parts;
  std::uint64_t sum = 0;
  std::size_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    TRUEKEEL_UNROLL
    for (std::uint32_t at = 0; at < kBlock; at += lanes())
      parts.store(weight_parts(load(values + i + at), scale), at);
    sum += parts.sum(kBlock);
  }
  std::uint32_t used = 0;
  for (; i + used < count; used += lanes()) {
    const auto valid = hn::FirstN(Floats(), count - i - used);
    const FloatV forbidden = hn::Set(Floats(), value_of(kForbidden));
    parts.store(weight_parts(hn::IfThenElse(valid, load(values + i + used), forbidden), scale), used);
  }
  return sum + parts.sum(used);
}

}  // namespace

void sums_at_least(const Blocks& blocks, const Ordinal* groups, Scale scale, std::span<const Ordinal> cuts,
                   Ordinal* scratch, std::uint64_t* sums) {
  auto* const values = reinterpret_cast<float*>(scratch);
  std::size_t count = 0;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    count = i == 0 ? pack_row(blocks, groups, cuts[i], values) : retain(values, count, cuts[i]);
    sums[i] = mass_of_values(values, count, scale);
  }
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace truekeel::select {
namespace {

HWY_EXPORT(sums_at_least);

}  // namespace

void sums_at_least(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale,
                   std::span<const Ordinal> cuts, std::span<Ordinal> scratch, std::span<std::uint64_t> sums) {
  TK_ASSERT(cuts.empty() || cuts.front() > kForbiddenOrdinal);
  TK_ASSERT(std::ranges::is_sorted(cuts) && sums.size() == cuts.size());
  TK_ASSERT(scratch.size() >= blocks.size + kSlack);
  HWY_DYNAMIC_DISPATCH(sums_at_least)(blocks, groups.data(), scale, cuts, scratch.data(), sums.data());
}

}  // namespace truekeel::select
#endif
