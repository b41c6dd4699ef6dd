// SPDX-License-Identifier: Apache-2.0
#include "select/maxima.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/maxima.cc"
#include <hwy/foreach_target.h>

#include <algorithm>

#include "base/assert.h"
#include "select/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {

std::uint32_t merge_groups(const Ordinal* groups, std::size_t count, Ordinal* merged) {
  constexpr std::size_t kStep = std::size_t{kGroups} * 16;
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

std::uint32_t maxima_at_least(const Ordinal* groups, std::size_t count, Ordinal least, Ordinal* out) {
  const Ints di;
  std::uint32_t written = 0;
  for (std::size_t i = 0; i < count; i += lanes()) {
    const IntV max = hn::LoadU(di, groups + i);
    const auto wanted = at_least(di, max, least);
    hn::StoreU(hn::Compress(max, wanted), di, out + written);
    written += static_cast<std::uint32_t>(hn::CountTrue(di, wanted));
  }
  return written;
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace truekeel::select {
namespace {

HWY_EXPORT(merge_groups);
HWY_EXPORT(maxima_at_least);

}  // namespace

std::uint32_t merge_groups(std::span<const Ordinal> groups, std::span<Ordinal> merged) {
  TK_ASSERT(merged.size() >= groups.size());
  return HWY_DYNAMIC_DISPATCH(merge_groups)(groups.data(), groups.size(), merged.data());
}

std::uint32_t maxima_at_least(std::span<const Ordinal> groups, Ordinal least, std::span<Ordinal> out) {
  TK_ASSERT(out.size() >= groups.size() + kSlack);
  return HWY_DYNAMIC_DISPATCH(maxima_at_least)(groups.data(), groups.size(), least, out.data());
}

}  // namespace truekeel::select
#endif
