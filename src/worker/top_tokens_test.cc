// SPDX-License-Identifier: Apache-2.0
#include "worker/top_tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/philox.h"

namespace truekeel::worker {
namespace {

std::vector<Token> ids(const std::vector<TopToken>& top) {
  std::vector<Token> found;
  for (const auto& token : top) found.push_back(token.id);
  return found;
}

TEST(TopTokens, AreThoseOfASort) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    PhiloxStream random(seed);
    // Few distinct values: ties everywhere.
    std::vector<float> row(1 + random.below(300));
    for (auto& logit : row) logit = static_cast<float>(random.below(1 + seed)) - 3;
    std::vector<Token> order(row.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, [&](Token a, Token b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
    for (std::size_t rank = 0; rank < order.size(); ++rank) EXPECT_EQ(rank_of(row, order[rank]), rank);

    const auto count = static_cast<std::uint32_t>(random.below(25));
    order.resize(std::min<std::size_t>(count, order.size()));
    EXPECT_EQ(ids(top_tokens(row, 0, count)), order) << "seed " << seed;
  }
}

TEST(TopTokens, CarryTheirLogprobs) {
  const std::vector<float> row = {1, 3, -std::numeric_limits<float>::infinity(), 2};
  EXPECT_EQ(top_tokens(row, 0.5, 2), (std::vector<TopToken>{{1, 2.5}, {3, 1.5}}));
}

}  // namespace
}  // namespace truekeel::worker
