// SPDX-License-Identifier: Apache-2.0
#include "select/survey.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/survey.cc"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/assert.h"
#include "select/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {
namespace {

/// What blocks come to; their group maxima are written.
struct Running {
  IntV top = hn::Set(Ints(), kForbiddenOrdinal);
  IntV least = hn::Set(Ints(), kInfinityOrdinal);  ///< magnitude of any group maximum
  FloatV products = hn::Zero(Floats());            ///< finite only when every element is
};

// Maxima of floats, not of integers: they run on two ports. A CPU that treats denormals as zero may then take
// the wrong one of two values near zero, so a row with a group maximum there is done again, in integers.
// Elements are multiplied in pairs: one instruction for two of them tells whether all are finite.
template <bool kExact, class E>
HWY_INLINE void survey_block(const E* block, Ordinal* groups, Running& running) {
  const Ints di;
  for (std::uint32_t group = 0; group < kGroups; group += lanes()) {
    const FloatV first = load(block + group), second = load(block + group + kGroups);
    FloatV max = hn::Max(first, second), products = hn::Mul(first, second);
    IntV max_ordinal = hn::Max(ordinals(first), ordinals(second));
    for (std::uint32_t i = group + 2 * kGroups; i < kBlock; i += 2 * kGroups) {
      const FloatV x = load(block + i), y = load(block + i + kGroups);
      if (kExact) {
        max_ordinal = hn::Max(max_ordinal, hn::Max(ordinals(x), ordinals(y)));
      } else {
        max = hn::Max(max, hn::Max(x, y));
        products = hn::MulAdd(x, y, products);
      }
    }
    if (!kExact) max_ordinal = ordinals(max);
    hn::StoreU(max_ordinal, di, groups + group);
    running.top = hn::Max(running.top, max_ordinal);
    running.least = hn::Min(running.least, hn::Abs(max_ordinal));
    running.products = hn::Add(running.products, products);
  }
}

/// The sum of the first elements of a block, without its padding.
template <class E>
HWY_INLINE FloatV sum_of(const E* block, std::uint32_t used) {
  const Floats df;
  FloatV sum = hn::Zero(df);
  for (std::uint32_t i = 0; i < used; i += lanes())
    sum = hn::Add(sum, hn::IfThenElseZero(hn::FirstN(df, used - i), load(block + i)));
  return sum;
}

/// The sum of a row: NaN when any element is, else infinite when any is forbidden (or when it overflows).
template <class E>
HWY_INLINE float sum_of(const Blocks& blocks) {
  FloatV sum = hn::Zero(Floats());
  for (std::uint32_t b = 0; b < blocks.count(); ++b) {
    const std::uint32_t used = std::min(kBlock, blocks.size - b * kBlock);
    sum = hn::Add(sum, sum_of(reinterpret_cast<const E*>(blocks[b]), used));
  }
  return hn::GetLane(hn::SumOfLanes(Floats(), sum));
}

template <class E, class F>
HWY_INLINE std::size_t count_block(const E* block, const F& reaches) {
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < kBlock; i += 4 * lanes()) {
    const auto hits = [&](std::uint32_t vector) { return reaches(load(block + i + vector * lanes())); };
    count += hits(0) + hits(1) + hits(2) + hits(3);
    asm volatile("" : "+r"(count));  // else the compiler gathers counts into vectors, at twice the time
  }
  return count;
}

/// Counts the elements that `reaches` tells of, in blocks that may have one.
template <class E, class F>
HWY_INLINE std::uint32_t count_blocks(const Blocks& blocks, const Ordinal* groups, std::uint32_t begin,
                                      std::uint32_t end, Ordinal least, const F& reaches) {
  const std::uint32_t whole = std::min(end, blocks.size / kBlock);
  const auto* data = reinterpret_cast<const E*>(blocks.data);
  std::size_t count = 0;
  for (std::uint32_t b = begin; b < whole; ++b)
    if (any_at_least(groups + std::size_t{b} * kGroups, least))
      count += count_block(data + std::size_t{b} * kBlock, reaches);
  if (begin < end && whole < end) count += count_block(reinterpret_cast<const E*>(blocks.tail), reaches);
  return static_cast<std::uint32_t>(count);
}

template <class E>
HWY_INLINE std::uint32_t count_range(const Blocks& blocks, const Ordinal* groups, std::uint32_t begin,
                                     std::uint32_t end, Ordinal least) {
  // Floats compare in one instruction, and right even on a CPU that takes denormals for zero: unless the
  // limit is one.
  if (std::abs(least) >= kLeastNormalOrdinal) {
    const FloatV limit = hn::Set(Floats(), value_of_ordinal(least));
    return count_blocks<E>(blocks, groups, begin, end, least,
                           [&](FloatV x) { return hn::CountTrue(Floats(), hn::Ge(x, limit)); });
  }
  const Reaches reaches(least);
  return count_blocks<E>(blocks, groups, begin, end, least,
                         [&](FloatV x) { return hn::CountTrue(Ints(), reaches(x)); });
}

}  // namespace

/// Writes group maxima and the top. Returns a number that is finite if all elements are; NaN if one is.
float survey_groups(const Blocks& blocks, Ordinal* groups, Ordinal* top) {
  return with_type(blocks.dtype, [&]<class E>(const E*) {
    const Ints di;
    Running running{hn::Set(di, kForbiddenOrdinal), hn::Set(di, kInfinityOrdinal), hn::Zero(Floats())};
    const std::uint32_t whole = blocks.size / kBlock;
    const auto* data = reinterpret_cast<const E*>(blocks.data);
    for (std::uint32_t b = 0; b < whole; ++b)
      survey_block<false>(data + static_cast<std::size_t>(b) * kBlock, groups + std::size_t{b} * kGroups,
                          running);
    FloatV finite = running.products;
    if (whole < blocks.count()) {
      const auto* tail = reinterpret_cast<const E*>(blocks.tail);
      survey_block<false>(tail, groups + std::size_t{whole} * kGroups, running);
      finite = hn::Add(finite, sum_of(tail, blocks.size % kBlock));
    }
    if (!hn::AllFalse(di, hn::Lt(running.least, hn::Set(di, kLeastNormalOrdinal)))) {
      running.top = hn::Set(di, kForbiddenOrdinal);
      for (std::uint32_t b = 0; b < blocks.count(); ++b)
        survey_block<true>(reinterpret_cast<const E*>(blocks[b]), groups + std::size_t{b} * kGroups, running);
    }
    *top = hn::GetLane(hn::MaxOfLanes(di, running.top));
    const float sign = hn::GetLane(hn::SumOfLanes(Floats(), finite));
    return std::isfinite(sign) ? sign : sum_of<E>(blocks);  // products overflow where sums do not
  });
}

std::uint32_t first_with(const Blocks& blocks, const Ordinal* groups, Ordinal ordinal) {
  const Ints di;
  const IntV wanted = hn::Set(di, ordinal);
  std::uint32_t at = 0;
  while (hn::AllFalse(di, hn::Eq(hn::LoadU(di, groups + at), wanted))) at += lanes();
  const std::uint32_t b = at / kGroups;
  return with_type(blocks.dtype, [&]<class E>(const E*) {
    const auto* block = reinterpret_cast<const E*>(blocks[b]);
    for (std::uint32_t i = 0;; i += lanes()) {
      const auto found = hn::FindFirstTrue(di, hn::Eq(ordinals(load(block + i)), wanted));
      if (found >= 0) return b * kBlock + i + static_cast<std::uint32_t>(found);
    }
  });
}

void ordinals_of(const Blocks& blocks, std::uint32_t block, Ordinal* out) {
  with_type(blocks.dtype, [&]<class E>(const E*) {
    const auto* from = reinterpret_cast<const E*>(blocks[block]);
    for (std::uint32_t i = 0; i < kBlock; i += lanes()) hn::StoreU(ordinals(load(from + i)), Ints(), out + i);
  });
}

std::size_t count_groups(std::span<const Ordinal> groups, Ordinal least) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < groups.size(); i += kGroups) count += groups_at_least(groups.data() + i, least);
  return count;
}

std::uint32_t count_at_least(const Blocks& blocks, const Ordinal* groups, Ordinal least) {
  return with_type(blocks.dtype, [&]<class E>(const E*) {
    return count_range<E>(blocks, groups, 0, blocks.count(), least);
  });
}

std::uint32_t rank_of(const Blocks& blocks, const Ordinal* groups, Ordinal ordinal, std::uint32_t id) {
  return with_type(blocks.dtype, [&]<class E>(const E*) {
    // Equal tokens count before id, not after.
    const Ints di;
    const std::uint32_t own = id / kBlock;
    std::uint32_t rank = count_range<E>(blocks, groups, 0, own, ordinal) +
                         count_range<E>(blocks, groups, own + 1, blocks.count(), ordinal + 1);
    const auto* block = reinterpret_cast<const E*>(blocks[own]);
    for (std::uint32_t i = 0; i < kBlock; i += lanes()) {
      const auto before =
          hn::Lt(hn::BitCast(di, ids_from(own * kBlock + i)), hn::Set(di, static_cast<std::int32_t>(id)));
      const IntV limit = hn::IfThenElse(before, hn::Set(di, ordinal - 1), hn::Set(di, ordinal));
      rank += static_cast<std::uint32_t>(hn::CountTrue(di, hn::Gt(ordinals(load(block + i)), limit)));
    }
    return rank;
  });
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <optional>

namespace truekeel::select {
namespace {

HWY_EXPORT(survey_groups);
HWY_EXPORT(first_with);
HWY_EXPORT(ordinals_of);
HWY_EXPORT(count_groups);
HWY_EXPORT(count_at_least);
HWY_EXPORT(rank_of);

/// The first NaN or +inf in id order. Reads values one by one: only when something is suspect.
std::optional<Failure> find_fault(const Row& row) {
  for (std::uint32_t id = 0; id < row.size; ++id) {
    const auto magnitude = std::bit_cast<std::uint32_t>(row[id]) & ~kSignBit;
    if (magnitude > kInfinityBits) return Failure{Fault::nan_logit, 0, id};
    if (ordinal_of(row[id]) == kInfinityOrdinal) return Failure{Fault::infinite_logit, 0, id};
  }
  return std::nullopt;
}

}  // namespace

std::expected<Survey, Failure> survey(const Blocks& blocks, std::span<Ordinal> groups) {
  TK_ASSERT(groups.size() >= static_cast<std::size_t>(blocks.count()) * kGroups);
  Survey result;
  const float sum = HWY_DYNAMIC_DISPATCH(survey_groups)(blocks, groups.data(), &result.top);
  result.all_allowed = std::isfinite(sum);
  if (std::isnan(sum) || result.top >= kInfinityOrdinal)
    if (const auto failure = find_fault(blocks.row())) return std::unexpected(*failure);
  return result;
}

std::uint32_t first_with(const Blocks& blocks, std::span<const Ordinal> groups, Ordinal ordinal) {
  return HWY_DYNAMIC_DISPATCH(first_with)(blocks, groups.data(), ordinal);
}

void ordinals_of(const Blocks& blocks, std::uint32_t block, std::span<Ordinal> out) {
  TK_ASSERT(out.size() >= kBlock);
  HWY_DYNAMIC_DISPATCH(ordinals_of)(blocks, block, out.data());
}

std::size_t groups_at_least(std::span<const Ordinal> groups, Ordinal least) {
  return HWY_DYNAMIC_DISPATCH(count_groups)(groups, least);
}

std::uint32_t count_at_least(const Blocks& blocks, std::span<const Ordinal> groups, Ordinal least) {
  return HWY_DYNAMIC_DISPATCH(count_at_least)(blocks, groups.data(), least);
}

std::uint32_t rank_of(const Blocks& blocks, std::span<const Ordinal> groups, Ordinal ordinal,
                      std::uint32_t id) {
  return HWY_DYNAMIC_DISPATCH(rank_of)(blocks, groups.data(), ordinal, id);
}

}  // namespace truekeel::select
#endif
