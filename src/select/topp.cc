// SPDX-License-Identifier: Apache-2.0
#include "select/topp.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "select/bracket.h"
#include "select/guess.h"
#include "select/mass.h"
#include "select/maxima.h"
#include "select/survey.h"
#include "select/threshold.h"

namespace truekeel::select {
namespace {

/// The prefix of a list whose weights reach `needed`, 1 <= needed <= their sum; the search starts at the
/// guess. Overwrites the scratch.
Cut cut_by_mass(const Candidates& list, Scale scale, std::uint64_t needed, Ordinal guess, Scratch scratch) {
  const auto ordinals = scratch.ordinals.first(list.count);
  const auto weights = scratch.weights.first(list.count);
  std::ranges::copy(list.all(), ordinals.begin());
  const Threshold threshold = threshold_of_mass(ordinals, weights, needed, guess);
  const std::uint64_t each = weight_of(value_of_ordinal(threshold.ordinal), scale);
  const std::uint64_t ties = (needed - threshold.above + each - 1) / each;
  return {threshold.ordinal, nth_with(list, threshold.ordinal, static_cast<std::uint32_t>(ties)), true};
}

/// How wide to guess, in standard errors; then the whole side is listed.
constexpr std::array<float, 2> kErrors = {2, 8};

constexpr Ordinal kNoGuess = kForbiddenOrdinal;

/// An ordinal at and above which maxima of groups alone hold enough; nothing when the larger ones do not. In
/// the rows that models write, most of what top-p keeps are such maxima.
std::optional<Ordinal> bound_by_maxima(std::span<const Ordinal> groups, Scale scale, std::uint64_t needed,
                                       Scratch scratch) {
  const std::uint32_t count = merge_groups(groups, scratch.ordinals);
  const auto merged = scratch.ordinals.first(count);
  const Ordinal lowest = std::ranges::min(merged);
  for (const Ordinal least : {threshold_of_count(merged, (count + 1) / 2).ordinal, lowest}) {
    const auto maxima = scratch.ordinals.first(
        maxima_at_least(groups, std::max(least, kForbiddenOrdinal + 1), scratch.ordinals));
    const auto weights = scratch.weights.first(maxima.size());
    if (weights_of(maxima, scale, weights) >= needed)
      return threshold_of_mass(maxima, weights, needed, kNoGuess).ordinal;
  }
  return std::nullopt;
}

Bracket first_bracket(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale, std::uint64_t total,
                      std::uint64_t needed, Scratch scratch) {
  const auto bound = bound_by_maxima(groups, scale, needed, scratch);
  if (bound && !many_at_least(groups, *bound)) return {*bound, kInfinityOrdinal};
  return guess(blocks, scale, total - needed, kErrors[0]);
}

}  // namespace

std::uint64_t needed_of(double share, std::uint64_t mass) {
  return std::max<std::uint64_t>(1, share_of(share, mass));
}

void keep_mass(Candidates& list, Scale scale, std::uint64_t needed, Scratch scratch) {
  retain(list, cut_by_mass(list, scale, needed, kNoGuess, scratch));
}

void top_p_of(Candidates& list, Scale scale, double share, Scratch scratch) {
  const std::uint64_t mass = weights_of(list.all(), scale, scratch.weights.first(list.count));
  keep_mass(list, scale, needed_of(share, mass), scratch);
}

std::optional<Prefix> top_p(const Blocks& blocks, std::span<const Ordinal> groups, Scale scale,
                            std::uint64_t total, std::uint64_t needed, std::span<std::uint64_t> block_mass,
                            Scratch scratch, Candidates& list) {
  TK_ASSERT(needed >= 1 && needed <= total);
  Bracket bracket = first_bracket(blocks, groups, scale, total, needed, scratch);
  Prefix prefix;
  bool listed = false, has_totals = true;
  for (std::size_t attempt = 1;; ++attempt) {
    list.count = 0;
    listed = !many_at_least(groups, bracket.low);
    Above above;
    if (listed) {
      collect(blocks, groups, bracket.low, list);
    } else {
      above = sum_above(blocks, groups, scale, bracket, has_totals, block_mass, list);
      has_totals = false;
    }
    prefix.mass = above.mass;
    prefix.count = above.count;
    const std::uint64_t inside = weights_of(list.all(), scale, scratch.weights.first(list.count));
    const bool too_low = above.mass >= needed, too_high = above.mass + inside < needed;
    if (!too_low && !too_high) break;
    const Bracket wider =
        attempt < kErrors.size() ? guess(blocks, scale, total - needed, kErrors[attempt]) : kWholeRow;
    bracket = too_low ? Bracket{bracket.high, std::max(bracket.high, wider.high)}
                      : Bracket{std::min(bracket.low, wider.low), bracket.low};
  }
  prefix.cut = cut_by_mass(list, scale, needed - prefix.mass, bracket.high, scratch);
  retain(list, prefix.cut);
  if (listed) return std::nullopt;
  const auto weights = scratch.weights.first(list.count);
  prefix.mass += weights_of(list.all(), scale, weights);
  prefix.count += list.count;
  for (std::uint32_t i = 0; i < list.count; ++i) block_mass[list.ids[i] / kBlock] += weights[i];
  return prefix;
}

}  // namespace truekeel::select
