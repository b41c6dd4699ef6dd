// SPDX-License-Identifier: Apache-2.0
#include "select/bracket.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/bracket.cc"
#include <hwy/foreach_target.h>

#include "base/assert.h"
#include "select/parts-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {
namespace {

/// What one pass over a block sorts its elements by.
struct Sides {
  const Scale scale;
  const Reaches low, high;
};

struct Weighed {
  std::uint64_t mass = 0;
  std::uint32_t count = 0;
};

/// Weighs every element, and sums those above: for blocks that are split about evenly.
template <bool kLists, class E>
HWY_INLINE Weighed weigh_all(const E* block, std::uint32_t first_id, const Sides& sides, PartsBuffer& parts,
                             Candidates& list) {
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < kBlock; i += lanes()) {
    const FloatV x = load(block + i);
    const IntM over = sides.high(x);
    if (kLists) append(list, hn::AndNot(over, sides.low(x)), x, ids_from(first_id + i));
    WeightParts here = weight_parts(x, sides.scale);
    here.mantissa = hn::IfThenElseZero(hn::RebindMask(Words(), over), here.mantissa);
    parts.store(here, i);
    count += hn::CountTrue(Ints(), over);
  }
  return {parts.sum(kBlock), static_cast<std::uint32_t>(count)};
}

/// Moves together the elements that reach the bracket, or those that are not above it, and weighs only them.
template <bool kLists, bool kAbove, class E>
HWY_INLINE Weighed weigh_side(const E* block, std::uint32_t first_id, const Sides& sides, PartsBuffer& parts,
                              Candidates& list) {
  const Floats df;
  const Words dw;
  float packed[kBlock + kSlack];
  std::uint32_t ids[kBlock + kSlack];
  std::size_t packed_count = 0, count = 0;
  // No branches: with random hits a mispredicted one costs more than storing nothing.
  for (std::uint32_t i = 0; i < kBlock; i += lanes()) {
    const FloatV x = load(block + i);
    const IntM wanted = kAbove ? sides.low(x) : hn::Not(sides.high(x));
    hn::StoreU(hn::Compress(x, hn::RebindMask(df, wanted)), df, packed + packed_count);
    if (kLists)
      hn::StoreU(hn::Compress(ids_from(first_id + i), hn::RebindMask(dw, wanted)), dw, ids + packed_count);
    packed_count += hn::CountTrue(Ints(), wanted);
  }
  hn::StoreU(hn::Set(df, value_of(kForbidden)), df, packed + packed_count);
  std::uint32_t used = 0;
  for (; used < packed_count; used += lanes()) {
    const FloatV x = load(packed + used);
    const IntM over = sides.high(x);
    if (kLists) append(list, hn::AndNot(over, sides.low(x)), x, hn::LoadU(dw, ids + used));
    WeightParts here = weight_parts(x, sides.scale);
    if (kAbove) here.mantissa = hn::IfThenElseZero(hn::RebindMask(dw, over), here.mantissa);
    parts.store(here, used);
    count += hn::CountTrue(Ints(), over);
  }
  return {parts.sum(used), static_cast<std::uint32_t>(kAbove ? count : packed_count)};
}

template <bool kLists, class E>
HWY_INLINE Above sum_blocks(const Blocks& blocks, const Ordinal* groups, const Sides& sides, Ordinal low,
                            bool has_totals, std::uint64_t* block_mass, Candidates& list) {
  PartsBuffer parts;
  Above sum;
  std::uint32_t last_count = 0;  // blocks are alike: the last one tells which side of this one is the smaller
  for (std::uint32_t b = 0; b < blocks.count(); ++b) {
    const std::uint64_t total = block_mass[b];
    block_mass[b] = 0;
    if (!any_at_least(groups + std::size_t{b} * kGroups, low)) continue;
    const auto* block = reinterpret_cast<const E*>(blocks[b]);
    Weighed above;
    if (has_totals && last_count > kBlock / 2) {
      const Weighed rest = weigh_side<kLists, false>(block, b * kBlock, sides, parts, list);
      above = {total - rest.mass, kBlock - rest.count};
    } else if (last_count > kBlock / 4 * 3) {
      above = weigh_all<kLists>(block, b * kBlock, sides, parts, list);
    } else {
      above = weigh_side<kLists, true>(block, b * kBlock, sides, parts, list);
    }
    last_count = above.count;
    block_mass[b] = above.mass;
    sum.mass += above.mass;
    sum.count += above.count;
  }
  return sum;
}

}  // namespace

Above sum_above(const Blocks& blocks, const Ordinal* groups, Scale scale, Bracket bracket, bool has_totals,
                std::uint64_t* block_mass, Candidates* list) {
  return with_type(blocks.dtype, [&]<class E>(const E*) {
    const Sides sides{scale, Reaches(bracket.low), Reaches(bracket.high)};
    if (bracket.low == bracket.high)
      return sum_blocks<false, E>(blocks, groups, sides, bracket.low, has_totals, block_mass, *list);
    Candidates found = *list;
    const Above above =
        sum_blocks<true, E>(blocks, groups, sides, bracket.low, has_totals, block_mass, found);
    settle(found, list->count);
    *list = found;
    return above;
  });
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace truekeel::select {
namespace {

HWY_EXPORT(sum_above);

}  // namespace

Above sum_above(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale, Bracket bracket,
                bool has_totals, std::span<std::uint64_t> block_mass, Candidates& list) {
  TK_ASSERT(bracket.low > kForbiddenOrdinal && bracket.low <= bracket.high);
  return HWY_DYNAMIC_DISPATCH(sum_above)(blocks, groups.data(), scale, bracket, has_totals, block_mass.data(),
                                         &list);
}

}  // namespace truekeel::select
#endif
