// SPDX-License-Identifier: Apache-2.0
#include "worker/top_tokens.h"

#include <algorithm>

namespace truekeel::worker {
namespace {

struct Entry {
  float logit;
  Token id;
};

bool before(const Entry& a, const Entry& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }

}  // namespace

std::vector<TopToken> top_tokens(std::span<const float> row, double normaliser, std::uint32_t count) {
  const auto wanted = std::min<std::size_t>(count, row.size());
  if (wanted == 0) return {};
  std::vector<Entry> best(wanted);
  for (std::size_t i = 0; i < wanted; ++i) best[i] = {row[i], static_cast<Token>(i)};
  std::ranges::make_heap(best, before);  // the last of the best is on top

  // Blocks that hold nothing better are passed over by compares alone, which compilers vectorise. Ids
  // ascend, so a tie with the last of the best never replaces it.
  constexpr std::size_t kBlock = 32;
  for (std::size_t begin = wanted; begin < row.size(); begin += kBlock) {
    const auto end = std::min(begin + kBlock, row.size());
    const float least = best.front().logit;
    unsigned better = 0;
    for (std::size_t i = begin; i < end; ++i) better |= static_cast<unsigned>(row[i] > least);
    if (better == 0) continue;
    for (std::size_t i = begin; i < end; ++i) {
      if (!(row[i] > best.front().logit)) continue;
      std::ranges::pop_heap(best, before);
      best.back() = {row[i], static_cast<Token>(i)};
      std::ranges::push_heap(best, before);
    }
  }
  std::ranges::sort_heap(best, before);
  std::vector<TopToken> top;
  top.reserve(wanted);
  for (const auto& [logit, id] : best) top.push_back({id, static_cast<double>(logit) - normaliser});
  return top;
}

std::uint32_t rank_of(std::span<const float> row, Token token) {
  const auto own = static_cast<std::size_t>(token);
  const float logit = row[own];
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < row.size(); ++i) rank += static_cast<std::uint32_t>(row[i] > logit);
  for (std::size_t i = 0; i < own; ++i) rank += static_cast<std::uint32_t>(row[i] == logit);
  return rank;
}

}  // namespace truekeel::worker
