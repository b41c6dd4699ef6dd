// SPDX-License-Identifier: Apache-2.0
#include "evidence/reported_row.h"

#include <gtest/gtest.h>

#include <vector>

namespace truekeel::evidence {
namespace {

std::vector<float> top_of(const TokenRecord& record) { return {record.top.begin(), record.top.end()}; }

TEST(RowReader, AListOfTheTopStaysAsItIs) {
  RowReader reader;
  const float listed[] = {-0.1f, -2, -3};
  const TokenRecord inside = reader.read(listed, 1, -2, ListRule::top_apart);
  EXPECT_EQ(top_of(inside), (std::vector<float>{-0.1f, -2, -3}));
  EXPECT_EQ(inside.rank, 1u);
  const TokenRecord outside = reader.read(listed, std::nullopt, -9, ListRule::top_apart);
  EXPECT_EQ(outside.top.size(), 3u);
  EXPECT_EQ(outside.rank, kUnknownRank);
}

// An engine that lists the drawn token first and then the best, cut at K: whatever is drawn, the same K - 1
// entries must remain.
TEST(RowReader, TheRowDoesNotDependOnTheDrawnToken) {
  const float all[] = {-0.1f, -2, -3, -4, -9};
  constexpr std::size_t kListed = 4;
  for (std::size_t drawn = 0; drawn < std::size(all); ++drawn) {
    std::vector<float> listed = {all[drawn]};
    for (std::size_t i = 0; i < std::size(all) && listed.size() < kListed; ++i)
      if (i != drawn) listed.push_back(all[i]);
    RowReader reader;
    const TokenRecord record = reader.read(listed, 0, all[drawn], ListRule::drawn_replaces);
    EXPECT_EQ(top_of(record), (std::vector<float>{-0.1f, -2, -3})) << "drawn " << drawn;
    EXPECT_EQ(record.rank, drawn < 3 ? static_cast<std::uint32_t>(drawn) : kUnknownRank);
    EXPECT_EQ(record.logprob, all[drawn]);
  }
}

TEST(RowReader, CutTokensAreNotListed) {
  RowReader reader;
  const float listed[] = {0, -9999, -9999};
  EXPECT_EQ(top_of(reader.read(listed, 0, 0, ListRule::top_apart)), (std::vector<float>{0}));
  EXPECT_TRUE(reader.read({}, std::nullopt, -1, ListRule::drawn_replaces).top.empty());
}

}  // namespace
}  // namespace truekeel::evidence
