// SPDX-License-Identifier: Apache-2.0
#include "select/candidates.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/candidates.cc"
#include <hwy/foreach_target.h>

#include "base/assert.h"
#include "select/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {
namespace {

struct CutV {
  IntV threshold;
  WordV last_tie;
  bool ties;

  HWY_INLINE explicit CutV(Cut cut)
      : threshold(hn::Set(Ints(), cut.threshold)), last_tie(hn::Set(Words(), cut.last_tie)), ties(cut.ties) {}
  HWY_INLINE auto keeps(IntV ordinal, WordV id) const {
    const auto above = hn::Gt(ordinal, threshold);
    if (!ties) return above;
    const Ints di;
    // Ids are below 2^31: signed comparisons will do.
    const auto later = hn::Gt(hn::BitCast(di, id), hn::BitCast(di, last_tie));
    return hn::Or(above, hn::AndNot(later, hn::Eq(ordinal, threshold)));
  }
};

}  // namespace

/// Branches on hits where they are rare; where not, storing nothing costs less than a mispredicted branch.
template <bool kRare, class E>
HWY_INLINE void collect_block(const E* block, std::uint32_t first_id, const Reaches& reaches,
                              Candidates& list) {
  for (std::uint32_t i = 0; i < kBlock; i += lanes()) {
    const FloatV x = load(block + i);
    const IntM mask = reaches(x);
    if (kRare && hn::AllFalse(Ints(), mask)) continue;
    append(list, mask, x, ids_from(first_id + i));
  }
}

void collect(const Blocks& blocks, const Ordinal* groups, Ordinal least, Candidates* list) {
  with_type(blocks.dtype, [&]<class E>(const E*) {
    constexpr std::size_t kRareMax = 2;
    const Reaches reaches(least);
    Candidates found = *list;
    for (std::uint32_t b = 0; b < blocks.count(); ++b) {
      const std::size_t hits = groups_at_least(groups + std::size_t{b} * kGroups, least);
      if (hits == 0) continue;
      const auto* block = reinterpret_cast<const E*>(blocks[b]);
      if (hits <= kRareMax)
        collect_block<true>(block, b * kBlock, reaches, found);
      else
        collect_block<false>(block, b * kBlock, reaches, found);
    }
    settle(found, list->count);
    *list = found;
  });
}

void collect_equal(const Blocks& blocks, const Ordinal* groups, Ordinal wanted, Candidates* list) {
  with_type(blocks.dtype, [&]<class E>(const E*) {
    const Ints di;
    Candidates found = *list;
    for (std::uint32_t b = 0; b < blocks.count(); ++b) {
      if (!any_at_least(groups + std::size_t{b} * kGroups, wanted)) continue;
      const auto* block = reinterpret_cast<const E*>(blocks[b]);
      for (std::uint32_t i = 0; i < kBlock; i += lanes()) {
        const FloatV x = load(block + i);
        const IntM mask = hn::Eq(ordinals(x), hn::Set(di, wanted));
        if (!hn::AllFalse(di, mask)) append(found, mask, x, ids_from(b * kBlock + i));
      }
    }
    settle(found, list->count);
    *list = found;
  });
}

void retain(Candidates* list, Cut cut) {
  const CutV keep(cut);
  Candidates kept{list->ordinals, list->ids, 0};
  for (std::uint32_t i = 0; i < list->count; i += lanes()) {
    const IntV ordinal = hn::LoadU(Ints(), list->ordinals + i);
    const WordV id = hn::LoadU(Words(), list->ids + i);
    const auto valid = hn::FirstN(Ints(), list->count - i);
    append(kept, hn::And(keep.keeps(ordinal, id), valid), hn::BitCast(Floats(), ordinal), id);
  }
  *list = kept;
}

std::uint32_t count_kept(const Candidates& list, Cut cut) {
  const Ints di;
  const CutV keep(cut);
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < list.count; i += lanes()) {
    const auto kept = keep.keeps(hn::LoadU(di, list.ordinals + i), hn::LoadU(Words(), list.ids + i));
    count += hn::CountTrue(di, hn::And(kept, hn::FirstN(di, list.count - i)));
  }
  return static_cast<std::uint32_t>(count);
}

std::uint32_t nth_with(const Candidates& list, Ordinal ordinal, std::uint32_t n) {
  const Ints di;
  const IntV wanted = hn::Set(di, ordinal);
  std::uint32_t i = 0;
  for (;; i += lanes()) {
    const auto equal =
        hn::And(hn::Eq(hn::LoadU(di, list.ordinals + i), wanted), hn::FirstN(di, list.count - i));
    const auto here = static_cast<std::uint32_t>(hn::CountTrue(di, equal));
    if (here >= n) break;
    n -= here;
  }
  for (;; ++i)
    if (list.ordinals[i] == ordinal && --n == 0) return list.ids[i];
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace truekeel::select {
namespace {

HWY_EXPORT(collect);
HWY_EXPORT(collect_equal);
HWY_EXPORT(retain);
HWY_EXPORT(count_kept);
HWY_EXPORT(nth_with);

}  // namespace

void collect(const Blocks& blocks, std::span<const Ordinal> groups, Ordinal least, Candidates& list) {
  TK_ASSERT(least > kForbiddenOrdinal);
  HWY_DYNAMIC_DISPATCH(collect)(blocks, groups.data(), least, &list);
}

void collect_equal(const Blocks& blocks, std::span<const Ordinal> groups, Ordinal wanted, Candidates& list) {
  TK_ASSERT(wanted > kForbiddenOrdinal);
  HWY_DYNAMIC_DISPATCH(collect_equal)(blocks, groups.data(), wanted, &list);
}

void retain(Candidates& list, Cut cut) { HWY_DYNAMIC_DISPATCH(retain)(&list, cut); }

std::uint32_t count_kept(const Candidates& list, Cut cut) {
  return HWY_DYNAMIC_DISPATCH(count_kept)(list, cut);
}

std::uint32_t nth_with(const Candidates& list, Ordinal ordinal, std::uint32_t n) {
  return HWY_DYNAMIC_DISPATCH(nth_with)(list, ordinal, n);
}

}  // namespace truekeel::select
#endif
