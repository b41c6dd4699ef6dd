// SPDX-License-Identifier: Apache-2.0
#include "select/threshold.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/threshold.cc"
#include <hwy/foreach_target.h>

#include <limits>

#include "base/assert.h"
#include "select/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {
namespace {

/// A set of ordinals, each measured as 1.
struct Counted {
  using D = Ints;
  using Mask = IntM;
  static constexpr bool kStopsWhenReached = true;
  Ordinal* ordinals;
  std::uint32_t count;

  class Sum {
   public:
    HWY_INLINE void add(const Counted&, std::uint32_t, Mask mask) { sum_ += hn::CountTrue(D(), mask); }
    [[nodiscard]] HWY_INLINE std::uint64_t total() const { return sum_; }

   private:
    std::size_t sum_ = 0;
  };

  HWY_INLINE void move(Mask mask, std::uint32_t from, std::uint32_t to) const {
    const D d;
    hn::StoreU(hn::Compress(hn::LoadU(d, ordinals + from), mask), d, ordinals + to);
  }
};

/// A set of ordinals, each measured by its weight.
struct Weighted {
  using D64 = hn::CappedTag<std::uint64_t, kGroups / 2>;
  using D = hn::Rebind<std::int32_t, D64>;
  using Mask = decltype(hn::Eq(hn::Zero(D()), hn::Zero(D())));
  static constexpr bool kStopsWhenReached = false;  // the last ones may weigh nothing: the answer is higher
  Ordinal* ordinals;
  std::uint64_t* weights;
  std::uint32_t count;

  static HWY_INLINE auto widen(Mask mask) {
    const hn::RebindToSigned<D64> di64;
    return hn::MaskFromVec(hn::BitCast(D64(), hn::PromoteTo(di64, hn::VecFromMask(D(), mask))));
  }

  class Sum {
   public:
    HWY_INLINE Sum() : sum_(hn::Zero(D64())) {}
    HWY_INLINE void add(const Weighted& set, std::uint32_t at, Mask mask) {
      sum_ = hn::Add(sum_, hn::IfThenElseZero(widen(mask), hn::LoadU(D64(), set.weights + at)));
    }
    [[nodiscard]] HWY_INLINE std::uint64_t total() const { return hn::GetLane(hn::SumOfLanes(D64(), sum_)); }

   private:
    hn::VFromD<D64> sum_;
  };

  HWY_INLINE void move(Mask mask, std::uint32_t from, std::uint32_t to) const {
    const D d;
    const D64 d64;
    hn::StoreU(hn::Compress(hn::LoadU(d, ordinals + from), mask), d, ordinals + to);
    hn::StoreU(hn::Compress(hn::LoadU(d64, weights + from), widen(mask)), d64, weights + to);
  }
};

/// How a limit splits a set.
struct Split {
  std::uint64_t reached;    ///< measure of the elements at and above it
  Ordinal lowest, highest;  ///< the lowest of these, and the highest of the others
};

template <class Set>
HWY_INLINE Split split(const Set& set, Ordinal limit) {
  constexpr Ordinal kMin = std::numeric_limits<Ordinal>::min(), kMax = std::numeric_limits<Ordinal>::max();
  const typename Set::D d;
  typename Set::Sum sum;
  auto lowest = hn::Set(d, kMax), highest = hn::Set(d, kMin);
  for (std::uint32_t i = 0; i < set.count; i += hn::Lanes(d)) {
    const auto ordinal = hn::LoadU(d, set.ordinals + i);
    const auto over = at_least(d, ordinal, limit), valid = hn::FirstN(d, set.count - i);
    sum.add(set, i, hn::And(over, valid));
    lowest = hn::Min(lowest, hn::IfThenElse(hn::And(over, valid), ordinal, hn::Set(d, kMax)));
    highest = hn::Max(highest, hn::IfThenElse(hn::AndNot(over, valid), ordinal, hn::Set(d, kMin)));
  }
  return {sum.total(), hn::GetLane(hn::MinOfLanes(d, lowest)), hn::GetLane(hn::MaxOfLanes(d, highest))};
}

/// Keeps the elements of [low, high].
template <class Set>
HWY_INLINE void narrow(Set& set, Ordinal low, Ordinal high) {
  const typename Set::D d;
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < set.count; i += hn::Lanes(d)) {
    const auto ordinal = hn::LoadU(d, set.ordinals + i);
    const auto inside = hn::AndNot(at_least(d, ordinal, high + 1), at_least(d, ordinal, low));
    const auto mask = hn::And(inside, hn::FirstN(d, set.count - i));
    set.move(mask, i, kept);
    kept += static_cast<std::uint32_t>(hn::CountTrue(d, mask));
  }
  set.count = kept;
}

struct Range {
  Ordinal low, high;
};

HWY_INLINE Range range_of(const Ordinal* ordinals, std::uint32_t count) {
  const Ints d;
  const IntV first = hn::Set(d, ordinals[0]);
  IntV low = first, high = first;
  for (std::uint32_t i = 0; i < count; i += lanes()) {
    const auto valid = hn::FirstN(d, count - i);
    const IntV ordinal = hn::IfThenElse(valid, hn::LoadU(d, ordinals + i), first);
    low = hn::Min(low, ordinal);
    high = hn::Max(high, ordinal);
  }
  return {hn::GetLane(hn::MinOfLanes(d, low)), hn::GetLane(hn::MaxOfLanes(d, high))};
}

/// Few enough that measuring them again costs less than moving them.
constexpr std::uint32_t kSmall = 64;

/// The answer stays within [low, high], which are elements; what was dropped above it measures `above`.
template <class Set>
HWY_INLINE Threshold bisect(Set set, std::uint64_t needed, Ordinal guess) {
  auto [low, high] = range_of(set.ordinals, set.count);
  std::uint64_t above = 0;
  for (bool first = true; low < high; first = false) {
    auto middle = static_cast<Ordinal>(low + (static_cast<std::int64_t>(high) - low + 1) / 2);
    if (first && guess > low && guess <= high) middle = guess;
    const Split found = split(set, middle);
    const std::uint64_t reached = above + found.reached;
    if (Set::kStopsWhenReached && reached == needed) return {middle - 1, needed};
    if (reached >= needed)
      low = found.lowest;
    else
      high = found.highest;
    if (set.count <= kSmall) continue;
    if (reached < needed) above = reached;
    narrow(set, low, high);
  }
  return {low, above + split(set, low + 1).reached};
}

}  // namespace

Threshold threshold_of_count(Ordinal* ordinals, std::uint32_t count, std::uint32_t needed) {
  return bisect(Counted{ordinals, count}, needed, kForbiddenOrdinal);
}

Threshold threshold_of_mass(Ordinal* ordinals, std::uint64_t* weights, std::uint32_t count,
                            std::uint64_t needed, Ordinal guess) {
  return bisect(Weighted{ordinals, weights, count}, needed, guess);
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace truekeel::select {
namespace {

HWY_EXPORT(threshold_of_count);
HWY_EXPORT(threshold_of_mass);

}  // namespace

Threshold threshold_of_count(std::span<Ordinal> ordinals, std::uint32_t needed) {
  TK_ASSERT(needed >= 1 && needed <= ordinals.size());
  return HWY_DYNAMIC_DISPATCH(threshold_of_count)(ordinals.data(),
                                                  static_cast<std::uint32_t>(ordinals.size()), needed);
}

Threshold threshold_of_mass(std::span<Ordinal> ordinals, std::span<std::uint64_t> weights,
                            std::uint64_t needed, Ordinal guess) {
  TK_ASSERT(needed >= 1 && weights.size() == ordinals.size() && !ordinals.empty());
  return HWY_DYNAMIC_DISPATCH(threshold_of_mass)(ordinals.data(), weights.data(),
                                                 static_cast<std::uint32_t>(ordinals.size()), needed, guess);
}

}  // namespace truekeel::select
#endif
