// SPDX-License-Identifier: Apache-2.0
#include "select/bracket.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/bracket.cc"
#include <hwy/foreach_target.h>

#include "base/assert.h"
#include "select/parts-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {
Above sum_above(const Blocks& blocks, const Ordinal* groups, Scale scale, Bracket bracket,
                std::uint64_t* block_mass, Candidates* list) {
  PartsBuffer parts;
  return with_type(blocks.dtype, [&]<class E>(const E*) {
    const Ints di;
    const Words dw;
    Candidates found = *list;
    Above above;
    for (std::uint32_t b = 0; b < blocks.count(); ++b) {
      block_mass[b] = 0;
      if (!any_at_least(groups + b * kGroups, bracket.low)) continue;
      const bool weighs = any_at_least(groups + b * kGroups, bracket.high);
      const auto* block = reinterpret_cast<const E*>(blocks[b]);
      std::size_t count = 0;
      for (std::uint32_t i = 0; i < kBlock; i += lanes()) {
        const FloatV x = load(block + i);
        const IntV ordinal = ordinals(x);
        const auto over = at_least(di, ordinal, bracket.high);
        const auto inside = hn::AndNot(over, at_least(di, ordinal, bracket.low));
        if (!hn::AllFalse(di, inside)) append(found, inside, ordinal, hn::Iota(dw, b * kBlock + i));
        if (!weighs) continue;
        WeightParts here = weight_parts(x, scale);
        here.mantissa = hn::IfThenElseZero(hn::RebindMask(dw, over), here.mantissa);
        parts.store(here, i);
        count += hn::CountTrue(di, over);
      }
      if (!weighs) continue;
      above.mass += block_mass[b] = sum_weights(parts);
      above.count += static_cast<std::uint32_t>(count);
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
