// SPDX-License-Identifier: Apache-2.0
#include "select/topk.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/topk.cc"
#include <hwy/foreach_target.h>

#include <algorithm>

#include "select/simd-inl.h"
#include "select/threshold.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {

/// Maxima of 16 blocks at a time, group by group: 16 maxima of 256 elements each. Returns how many.
std::uint32_t merge_groups(const Ordinal* groups, std::size_t count, Ordinal* merged) {
  constexpr std::size_t kStep = kGroups * 16;
  const Ints di;
  std::uint32_t written = 0;
  for (std::size_t begin = 0; begin < count; begin += kStep, written += kGroups) {
    const std::size_t end = std::min(begin + kStep, count);
    for (std::uint32_t group = 0; group < kGroups; group += lanes()) {
      IntV max = hn::LoadU(di, groups + begin + group);
      for (std::size_t i = begin + group + kGroups; i < end; i += kGroups)
        max = hn::Max(max, hn::LoadU(di, groups + i));
      hn::StoreU(max, di, merged + written + group);
    }
  }
  return written;
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace truekeel::select {
namespace {

HWY_EXPORT(merge_groups);

/// A lower bound of the k-th largest element, above kForbiddenOrdinal.
Ordinal bound_of(std::span<const Ordinal> groups, std::uint32_t k, std::span<Ordinal> scratch) {
  // With less than twice as many maxima as wanted elements the bound would be too low to be of use.
  std::uint32_t count = HWY_DYNAMIC_DISPATCH(merge_groups)(groups.data(), groups.size(), scratch.data());
  if (k > count / 2) {
    if (k > groups.size() / 2) return kForbiddenOrdinal + 1;
    count = static_cast<std::uint32_t>(groups.size());
    std::ranges::copy(groups, scratch.begin());
  }
  const Threshold threshold = threshold_of_count(scratch.first(count), k);
  return std::max(threshold.above == k ? threshold.ordinal + 1 : threshold.ordinal, kForbiddenOrdinal + 1);
}

}  // namespace

void top_k(const Blocks& blocks, std::span<const Ordinal> groups, std::uint32_t k, std::span<Ordinal> scratch,
           Candidates& list) {
  collect(blocks, groups, bound_of(groups, k, scratch), list);
  top_k_of(list, k, scratch);
}

void top_k_of(Candidates& list, std::uint32_t k, std::span<Ordinal> scratch) {
  if (list.count <= k) return;
  std::ranges::copy(list.all(), scratch.begin());
  const Threshold threshold = threshold_of_count(scratch.first(list.count), k);
  Cut cut{threshold.ordinal};
  if (threshold.above < k) {
    cut.ties = true;
    cut.last_tie = nth_with(list, threshold.ordinal, k - static_cast<std::uint32_t>(threshold.above));
  }
  retain(list, cut);
}

}  // namespace truekeel::select
#endif
