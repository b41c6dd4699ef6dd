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

/// Weighs what is at and above a bracket and lists what is inside, vector by vector of one block.
template <bool kLists>
class Weigher {
 public:
  HWY_INLINE Weigher(Scale scale, Bracket bracket, PartsBuffer& parts, Candidates& list)
      : scale_(scale), low_(bracket.low), high_(bracket.high), parts_(parts), list_(list) {}

  // No branches: with random hits a mispredicted one costs more than storing nothing.
  HWY_INLINE void add(FloatV x, WordV id) {
    const IntM over = high_(x);
    if (kLists) append(list_, hn::AndNot(over, low_(x)), hn::BitCast(Ints(), x), id);
    WeightParts here = weight_parts(x, scale_);
    here.mantissa = hn::IfThenElseZero(hn::RebindMask(Words(), over), here.mantissa);
    parts_.store(here, used_);
    used_ += lanes();
    count_ += hn::CountTrue(Ints(), over);
  }

  [[nodiscard]] HWY_INLINE Above finish() {
    return {sum_weights(parts_, used_), static_cast<std::uint32_t>(count_)};
  }

 private:
  const Scale scale_;
  const Reaches low_, high_;
  PartsBuffer& parts_;
  Candidates& list_;
  std::uint32_t used_ = 0;
  std::size_t count_ = 0;
};

/// For blocks where most elements are at or above the bracket's low end.
template <bool kLists, class E>
HWY_INLINE Above weigh_all(const E* block, std::uint32_t first_id, Weigher<kLists> weigher) {
  for (std::uint32_t i = 0; i < kBlock; i += lanes()) weigher.add(load(block + i), ids_from(first_id + i));
  return weigher.finish();
}

/// For blocks where few are: these are moved together first, and only they are weighed.
template <bool kLists, class E>
HWY_INLINE Above weigh_some(const E* block, std::uint32_t first_id, Ordinal low, Weigher<kLists> weigher) {
  const Floats df;
  const Words dw;
  float packed[kBlock + kSlack];
  std::uint32_t ids[kBlock + kSlack];
  std::size_t count = 0;
  const Reaches reaches(low);
  for (std::uint32_t i = 0; i < kBlock; i += lanes()) {
    const FloatV x = load(block + i);
    const IntM wanted = reaches(x);
    hn::StoreU(hn::Compress(x, hn::RebindMask(df, wanted)), df, packed + count);
    if (kLists) hn::StoreU(hn::Compress(ids_from(first_id + i), hn::RebindMask(dw, wanted)), dw, ids + count);
    count += hn::CountTrue(Ints(), wanted);
  }
  hn::StoreU(hn::Set(df, value_of(kForbidden)), df, packed + count);
  for (std::uint32_t i = 0; i < count; i += lanes())
    weigher.add(load(packed + i), kLists ? hn::LoadU(dw, ids + i) : hn::Zero(dw));
  return weigher.finish();
}

template <bool kLists, class E>
HWY_INLINE Above sum_blocks(const Blocks& blocks, const Ordinal* groups, Scale scale, Bracket bracket,
                            std::uint64_t* block_mass, Candidates& list) {
  PartsBuffer parts;
  Above above;
  for (std::uint32_t b = 0; b < blocks.count(); ++b) {
    const Ordinal* const maxima = groups + b * kGroups;
    block_mass[b] = 0;
    if (!any_at_least(maxima, bracket.low)) continue;
    const auto* block = reinterpret_cast<const E*>(blocks[b]);
    const Weigher<kLists> weigher(scale, bracket, parts, list);
    // Where each of 16 groups has a hit, most elements are likely to be one.
    const Above here = groups_at_least(maxima, bracket.low) == kGroups
                           ? weigh_all(block, b * kBlock, weigher)
                           : weigh_some(block, b * kBlock, bracket.low, weigher);
    block_mass[b] = here.mass;
    above.mass += here.mass;
    above.count += here.count;
  }
  return above;
}

}  // namespace

Above sum_above(const Blocks& blocks, const Ordinal* groups, Scale scale, Bracket bracket,
                std::uint64_t* block_mass, Candidates* list) {
  return with_type(blocks.dtype, [&]<class E>(const E*) {
    if (bracket.low == bracket.high)
      return sum_blocks<false, E>(blocks, groups, scale, bracket, block_mass, *list);
    Candidates found = *list;
    const Above above = sum_blocks<true, E>(blocks, groups, scale, bracket, block_mass, found);
    // Listed as they lie; now as ordinals.
    for (std::uint32_t i = list->count; i < found.count; i += lanes()) {
      const FloatV x = hn::BitCast(Floats(), hn::LoadU(Ints(), found.ordinals + i));
      hn::StoreU(ordinals(x), Ints(), found.ordinals + i);
    }
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
                std::span<std::uint64_t> block_mass, Candidates& list) {
  TK_ASSERT(bracket.low > kForbiddenOrdinal && bracket.low <= bracket.high);
  return HWY_DYNAMIC_DISPATCH(sum_above)(blocks, groups.data(), scale, bracket, block_mass.data(), &list);
}

}  // namespace truekeel::select
#endif
