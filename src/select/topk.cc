// SPDX-License-Identifier: Apache-2.0
#include "select/topk.h"

#include <algorithm>

#include "select/maxima.h"
#include "select/threshold.h"

namespace truekeel::select {
namespace {

/// A lower bound of the k-th largest element, above kForbiddenOrdinal.
Ordinal bound_of(std::span<const Ordinal> groups, std::uint32_t k, std::span<Ordinal> scratch) {
  // With less than twice as many maxima as wanted elements the bound would be too low to be of use.
  std::uint32_t count = merge_groups(groups, scratch);
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
