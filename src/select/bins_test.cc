// SPDX-License-Identifier: Apache-2.0
#include "select/bins.h"

#include <gtest/gtest.h>
#include <truekeel/select.h>

#include <algorithm>
#include <vector>

#include "select/test_rows.h"

namespace truekeel::select {
namespace {

struct Found {
  BinAnswer answer;
  Ids ids;
};

Found by_bins(const Row& row, BinOptions options) {
  Workspace workspace(row.size);
  Found found{{}, Ids(options.k)};
  const auto answer = top_k_by_bins(row, options, workspace, found.ids);
  EXPECT_TRUE(answer.has_value()) << (answer ? "" : answer.error().to_error().message);
  if (answer) found.answer = *answer;
  found.ids.resize(found.answer.count);
  return found;
}

/// What bins must give: the k best of each bin's best.
Ids best_of_bins(const Row& row, std::uint32_t bins, std::uint32_t k) {
  Ids bests;
  for (std::uint32_t bin = 0; bin < std::min(bins, row.size); ++bin) {
    std::uint32_t best = bin;
    for (std::uint32_t id = bin; id < row.size; id += bins)
      if (before(row, id, best)) best = id;
    bests.push_back(best);
  }
  return best_of(row, bests, k);
}

bool any_allowed(const Row& row) { return !best_of_row(row, 1).empty(); }

TEST(Bins, AnswerIsThatOfBinsAndCertifiedExactlyWhenItIsExact) {
  int certified = 0, refused = 0;
  with_each_target([&](const char* target) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      PhiloxStream random(seed);
      const auto size = 1 + static_cast<std::uint32_t>(random.below(6000));
      const OwnedRow owned = make_row(random, static_cast<Shape>(random.below(kShapes)), size,
                                      static_cast<DType>(random.below(3)));
      const Row row = owned.row();
      if (!any_allowed(row)) continue;
      const auto k = 1 + static_cast<std::uint32_t>(random.below(60));
      const std::uint32_t bins = kBinsMin << random.below(4);
      const Ids exact = best_of_row(row, k);
      const Found binned = by_bins(row, {k, bins, false});
      ASSERT_EQ(binned.ids, best_of_bins(row, bins, k)) << "seed " << seed << " on " << target;
      ASSERT_EQ(binned.answer.certified, binned.ids == exact) << "seed " << seed << " on " << target;
      const Found fallen_back = by_bins(row, {k, bins, true});
      ASSERT_EQ(fallen_back.ids, exact) << "seed " << seed << " on " << target;
      ASSERT_TRUE(fallen_back.answer.exact);
      ASSERT_EQ(fallen_back.answer.certified, binned.answer.certified);
      binned.answer.certified ? ++certified : ++refused;
    }
  });
  EXPECT_GT(certified, 100);
  EXPECT_GT(refused, 100);
}

TEST(Bins, TheBestTokenIsNeverLost) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    PhiloxStream random(seed);
    const OwnedRow owned = make_row(random, Shape::normal, 20000, DType::f32);
    const Found found = by_bins(owned.row(), {40, kBinsMin, false});
    ASSERT_TRUE(std::ranges::binary_search(found.ids, best_of_row(owned.row(), 1)[0])) << "seed " << seed;
  }
}

/// The share of rows, whose best tokens fall into bins at random, in which no bin has two of the k best.
double certified_share(std::uint32_t k, std::uint32_t bins) {
  double share = 1;
  for (std::uint32_t i = 1; i < k; ++i) share *= 1 - i / static_cast<double>(bins);
  return share;
}

TEST(Bins, CertifiedAsOftenAsChanceSays) {
  constexpr std::uint32_t kRows = 400, kK = 20, kBins = 512;
  std::uint32_t certified = 0;
  for (std::uint64_t seed = 0; seed < kRows; ++seed) {
    PhiloxStream random(seed, 5);
    const OwnedRow owned = make_row(random, Shape::normal, 16384, DType::f32);
    certified += by_bins(owned.row(), {kK, kBins, false}).answer.certified ? 1 : 0;
  }
  // 0.687 of rows; five standard errors are 0.116.
  EXPECT_NEAR(certified / double{kRows}, certified_share(kK, kBins), 0.116);
  EXPECT_NEAR(certified_share(kK, kBins), 0.6867, 0.0001);
}

TEST(Bins, TheCFormGivesTheSame) {
  PhiloxStream random(3);
  const OwnedRow owned = make_row(random, Shape::normal, 9000, DType::f32);
  const Found expected = by_bins(owned.row(), {30, 256, false});
  Ids ids(30);
  std::vector<unsigned char> workspace(tk_select_workspace_bytes(9000));
  tk_select_bins_call call{};
  call.struct_size = sizeof call;
  call.logits = owned.wide.data();
  call.vocabulary = 9000;
  call.k = 30;
  call.bins = 256;
  call.workspace = workspace.data();
  call.workspace_bytes = workspace.size();
  call.ids = ids.data();
  call.answer_size = sizeof(tk_select_bins_answer);
  tk_select_bins_answer answer;
  ASSERT_EQ(tk_select_top_k_by_bins(&call, &answer), static_cast<uint32_t>(TK_SELECT_OK));
  EXPECT_EQ(ids, expected.ids);
  EXPECT_EQ(answer.count, 30u);
  EXPECT_EQ(answer.certified != 0, expected.answer.certified);
  call.bins = 300;
  EXPECT_EQ(tk_select_top_k_by_bins(&call, &answer), static_cast<uint32_t>(TK_SELECT_BAD_BATCH));
  call.bins = 256;
  auto broken = owned.wide;
  broken[77] = std::numeric_limits<float>::quiet_NaN();
  call.logits = broken.data();
  EXPECT_EQ(tk_select_top_k_by_bins(&call, &answer), static_cast<uint32_t>(TK_SELECT_NAN_LOGIT));
  EXPECT_EQ(answer.fault_id, 77u);
}

TEST(Bins, TheCFormWritesAsMuchAsTheCallerKnows) {
  const Ids logits_bits(300);  // all +0
  Ids ids(2);
  std::vector<unsigned char> workspace(tk_select_workspace_bytes(300));
  struct {
    tk_select_bins_answer known;
    uint32_t unknown, behind;
  } newer{{}, 7, 7};
  tk_select_bins_call call{};
  call.struct_size = sizeof call;
  call.logits = logits_bits.data();
  call.vocabulary = 300;
  call.k = 2;
  call.bins = 256;
  call.workspace = workspace.data();
  call.workspace_bytes = workspace.size();
  call.ids = ids.data();
  call.answer_size = offsetof(decltype(newer), behind);
  ASSERT_EQ(tk_select_top_k_by_bins(&call, &newer.known), static_cast<uint32_t>(TK_SELECT_OK));
  EXPECT_EQ(newer.known.count, 2u);
  EXPECT_EQ(newer.unknown, 0u);
  EXPECT_EQ(newer.behind, 7u);
  call.answer_size = 0;
  EXPECT_EQ(tk_select_top_k_by_bins(&call, &newer.known), static_cast<uint32_t>(TK_SELECT_BAD_STRUCT));
}

}  // namespace
}  // namespace truekeel::select
