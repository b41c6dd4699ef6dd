// SPDX-License-Identifier: Apache-2.0
#include "select/bins.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/bins.cc"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <bit>

#include "select/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {

/// Each bin's best: the first of the highest, for ids ascend. Requires: bins is a multiple of kBlock, and the
/// list has room for it.
void fill_bins(const Blocks& blocks, std::uint32_t bins, Candidates* list) {
  with_type(blocks.dtype, [&]<class E>(const E*) {
    const Ints di;
    const Words dw;
    list->count = bins;
    std::fill_n(list->ordinals, bins, kForbiddenOrdinal);
    std::fill_n(list->ids, bins, 0u);
    for (std::uint32_t b = 0; b < blocks.count(); ++b) {
      const auto* block = reinterpret_cast<const E*>(blocks[b]);
      const std::uint32_t first_bin = b * kBlock % bins;
      for (std::uint32_t i = 0; i < kBlock; i += lanes()) {
        Ordinal* const best = list->ordinals + first_bin + i;
        std::uint32_t* const id = list->ids + first_bin + i;
        const IntV own = ordinals(load(block + i)), held = hn::LoadU(di, best);
        const auto better = hn::Gt(own, held);
        hn::StoreU(hn::IfThenElse(better, own, held), di, best);
        hn::StoreU(hn::IfThenElse(hn::RebindMask(dw, better), ids_from(b * kBlock + i), hn::LoadU(dw, id)),
                   dw, id);
      }
    }
  });
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "select/survey.h"
#include "select/threshold.h"
#include "select/topk.h"

namespace truekeel::select {
namespace {

HWY_EXPORT(fill_bins);

/// The k best of the bins' best: the lower ids of those equal to the last. Unlike other lists, this one is
/// not in the order of ids. Requires: scratch has room for the list and kSlack.
Cut cut_of_bins(const Candidates& list, std::uint32_t k, std::span<Ordinal> scratch,
                std::span<std::uint64_t> tied_ids) {
  if (k >= list.count) return Cut::everything();
  std::ranges::copy(list.all(), scratch.begin());
  const Threshold threshold = threshold_of_count(scratch.first(list.count), k);
  if (threshold.ordinal <= kForbiddenOrdinal) return Cut::everything();
  if (threshold.above == k) return {threshold.ordinal};
  std::size_t tied = 0;
  for (std::uint32_t i = 0; i < list.count; ++i)
    if (list.ordinals[i] == threshold.ordinal) tied_ids[tied++] = list.ids[i];
  const auto last = tied_ids.begin() + static_cast<std::ptrdiff_t>(k - threshold.above - 1);
  std::ranges::nth_element(tied_ids.first(tied), last);
  return {threshold.ordinal, static_cast<std::uint32_t>(*last), true};
}

/// The cut right behind the last of the winners; behind all that is allowed when they are fewer than k.
Cut cut_behind(const Candidates& winners, std::uint32_t k) {
  if (winners.count < k) return Cut::everything();
  Cut cut{std::ranges::min(winners.all()), 0, true};
  for (std::uint32_t i = 0; i < winners.count; ++i)
    if (winners.ordinals[i] == cut.threshold) cut.last_tie = std::max(cut.last_tie, winners.ids[i]);
  return cut;
}

/// Whether the winners' bins dropped nothing that stands before the cut. Other bins hold nothing above their
/// own best, which does not.
bool dropped_nothing(const Row& row, const Candidates& winners, std::uint32_t bins, Cut cut) {
  for (std::uint32_t i = 0; i < winners.count; ++i)
    for (std::uint32_t id = winners.ids[i] % bins; id < row.size; id += bins)
      if (id != winners.ids[i] && cut.keeps(ordinal_of(row[id]), id)) return false;
  return true;
}

}  // namespace

std::expected<BinAnswer, Failure> top_k_by_bins_in(Buffers& buffers, const Row& row, BinOptions options,
                                                   std::span<std::uint32_t> ids) {
  if (row.size == 0 || row.size > kVocabularyMax) return std::unexpected(Failure{Fault::bad_vocabulary});
  if (row.size > buffers.vocabulary) return std::unexpected(Failure{Fault::workspace_too_small});
  const bool fits = options.k >= 1 && ids.size() >= std::min(options.k, row.size) &&
                    std::has_single_bit(options.bins) && options.bins >= kBinsMin;
  if (!fits) return std::unexpected(Failure{Fault::bad_batch});
  const Blocks blocks = blocks_of(row, TailBuffer(buffers.tail, TailBuffer::extent));
  const auto found = survey(blocks, buffers.groups);
  if (!found) return std::unexpected(found.error());
  if (found->top == kForbiddenOrdinal) return std::unexpected(Failure{Fault::all_forbidden});

  // More bins than elements would stay empty.
  const std::uint32_t bins = std::min(options.bins, blocks.count() * kBlock);
  Candidates& list = buffers.list;
  HWY_DYNAMIC_DISPATCH(fill_bins)(blocks, bins, &list);
  retain(list, cut_of_bins(list, options.k, buffers.scratch.ordinals, buffers.scratch.weights));
  BinAnswer answer{list.count, dropped_nothing(row, list, bins, cut_behind(list, options.k)), false};
  answer.exact = answer.certified;
  if (!answer.certified && options.exact_if_uncertified) {
    list.count = 0;
    top_k(blocks, buffers.groups.first(std::size_t{blocks.count()} * kGroups), options.k,
          buffers.scratch.ordinals, list);
    answer = {list.count, false, true};
  }
  std::ranges::copy_n(list.ids, answer.count, ids.begin());
  std::ranges::sort(ids.first(answer.count));
  return answer;
}

std::expected<BinAnswer, Failure> top_k_by_bins(const Row& row, BinOptions options, Workspace& workspace,
                                                std::span<std::uint32_t> ids) {
  return top_k_by_bins_in(workspace.buffers(), row, options, ids);
}

}  // namespace truekeel::select
#endif
