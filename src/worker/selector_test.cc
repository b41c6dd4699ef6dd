// SPDX-License-Identifier: Apache-2.0
#include "worker/selector.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/philox.h"
#include "select/rounding.h"

namespace truekeel::worker {
namespace {

constexpr std::uint32_t kVocabulary = 1003;  // no multiple of any width

/// Rows with ties, and questions of every kind, from a seed.
struct Batch {
  std::vector<float> rows;
  std::vector<Question> questions;
  std::vector<select::TokenCount> counts = {{.id = 3, .counted = 2}, {.id = 700, .counted = 1}};
  std::vector<select::TokenBias> bias = {{5, 4.0f}, {1002, -3.0f}};

  explicit Batch(std::uint64_t seed) {
    PhiloxStream random(seed);
    questions.resize(1 + random.below(6));
    rows.resize(questions.size() * kVocabulary);
    for (auto& logit : rows) logit = static_cast<float>(random.below(60000)) * 0x1p-12f;
    for (auto& question : questions) {
      auto& params = question.params;
      params.temperature = static_cast<float>(random.below(4)) * 0.5f;
      params.top_k = random.below(2) == 0 ? 0 : 30;
      params.top_p = random.below(2) == 0 ? 1 : 0.9;
      params.min_p = random.below(4) == 0 ? 0.05 : 0;
      params.frequency = random.below(2) == 0 ? 0.5f : 0;
      if (params.frequency > 0) params.counts = counts;
      if (random.below(2) == 0) params.bias = bias;
      question.draw = {random.next()};
      question.full = random.below(3) == 0;
    }
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
};

/// Every outcome, and every full record that was asked for, as one row after the other gives it.
void expect_same(const Selector& selector, const Batch& batch, std::span<const float> rows,
                 const std::string& what) {
  select::Workspace workspace(kVocabulary);
  for (std::size_t i = 0; i < batch.questions.size(); ++i) {
    const auto& [params, draw, full] = batch.questions[i];
    select::FullRecord record;
    const auto alone =
        select::select({rows.data() + i * kVocabulary, kVocabulary}, params, draw, workspace, &record);
    ASSERT_TRUE(alone);
    ASSERT_TRUE(selector.outcome(i)) << what << ", row " << i;
    EXPECT_EQ(*selector.outcome(i), *alone) << what << ", row " << i;
    if (full) EXPECT_EQ(selector.full(i), record) << what << ", row " << i;
  }
}

TEST(Selector, AnyShardsChooseWhatOneRowAloneDoes) {
  for (const std::uint32_t shards : {1, 2, 3, 8}) {
    Selector selector(kVocabulary, {.shards = shards});
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      const Batch batch(seed);
      selector.select(batch.rows, batch.questions);
      expect_same(selector, batch, batch.rows,
                  "shards " + std::to_string(shards) + ", seed " + std::to_string(seed));
      EXPECT_EQ(selector.row(0).data(), batch.rows.data()) << "rows are read in place";
    }
  }
}

TEST(Selector, Bf16ShardsChooseFromTheRoundedRow) {
  std::size_t differ = 0;
  for (const std::uint32_t shards : {1, 2, 8}) {
    Selector selector(kVocabulary, {.shards = shards, .dtype = select::DType::bf16}), exact(kVocabulary, {});
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      const Batch batch(seed);
      auto rounded = batch.rows;
      select::round_all_to(select::DType::bf16, rounded);
      selector.select(batch.rows, batch.questions);
      expect_same(selector, batch, rounded,
                  "shards " + std::to_string(shards) + ", seed " + std::to_string(seed));
      EXPECT_TRUE(std::ranges::equal(selector.row(0), std::span(rounded).first(kVocabulary)));
      exact.select(batch.rows, batch.questions);
      differ += exact.outcome(0)->id != selector.outcome(0)->id ? 1 : 0;
    }
  }
  EXPECT_GT(differ, 0u) << "the test cannot tell bf16 from fp32";
}

TEST(Selector, AFaultStaysInItsRow) {
  for (const std::uint32_t shards : {1, 4}) {
    Selector selector(kVocabulary, {.shards = shards});
    std::vector<float> rows(3 * kVocabulary, 1.0f);
    rows[kVocabulary + 600] = NAN;
    selector.select(rows, std::vector<Question>(3));
    EXPECT_TRUE(selector.outcome(0) && selector.outcome(2));
    ASSERT_FALSE(selector.outcome(1));
    EXPECT_EQ(selector.outcome(1).error(), (select::Failure{select::Fault::nan_logit, 1, 600}));
  }
}

TEST(Selector, AnswersAnotherQuestionAboutTheSameRow) {
  for (const auto dtype : {select::DType::f32, select::DType::bf16}) {
    Selector selector(kVocabulary, {.shards = 2, .dtype = dtype});
    const Batch batch(9);
    selector.select(batch.rows, batch.questions);
    for (std::size_t i = 0; i < batch.questions.size(); ++i) {
      const auto& [params, draw, full] = batch.questions[i];
      EXPECT_EQ(selector.again(i, params, draw), selector.outcome(i));
    }
  }
}

}  // namespace
}  // namespace truekeel::worker
