// SPDX-License-Identifier: Apache-2.0
#include "worker/exactness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/synthetic_engine.h"

namespace truekeel::worker {
namespace {

/// An engine whose last slot gets other bits in steps of certain widths.
class UnevenEngine final : public engine::Engine {
 public:
  explicit UnevenEngine(std::set<std::size_t> widths) : widths_(std::move(widths)) {}
  [[nodiscard]] const engine::EngineInfo& info() const override { return inner_->info(); }
  [[nodiscard]] const engine::Vocabulary& vocabulary() const override { return inner_->vocabulary(); }
  Result<void> prefill(engine::Slot slot, std::span<const engine::Token> piece, std::size_t rows) override {
    return inner_->prefill(slot, piece, rows);
  }
  Result<void> decode(std::span<const engine::SlotToken> step) override {
    auto done = inner_->decode(step);
    logits_.assign(inner_->logits().begin(), inner_->logits().end());
    if (widths_.contains(step.size())) logits_.back() += 1e-6f;
    return done;
  }
  [[nodiscard]] std::span<const float> logits() const override { return logits_; }
  void release(engine::Slot slot) override { inner_->release(slot); }
  [[nodiscard]] std::uint32_t length(engine::Slot slot) const override { return inner_->length(slot); }

 private:
  const std::set<std::size_t> widths_;
  const std::unique_ptr<engine::Engine> inner_ = engine::make_synthetic_engine({.slots = 6});
  std::vector<float> logits_;
};

TEST(Exactness, FindsTheWidthsThatDiffer) {
  struct Case {
    std::set<std::size_t> differ;
    std::uint32_t width_max;
    std::string widths;
  };
  for (const auto& [differ, width_max, widths] :
       {Case{{}, 6, "1-6"}, Case{{4, 6}, 3, "1-3,5"}, Case{{2, 3, 4, 5, 6}, 1, "1"}, Case{{2}, 1, "1,3-6"}}) {
    UnevenEngine engine(differ);
    const auto found = measure_exactness(engine);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->width_max(), width_max);
    EXPECT_EQ(found->all_exact(), differ.empty());
    EXPECT_EQ(found->widths(), widths);
    for (engine::Slot slot = 0; slot < 6; ++slot) EXPECT_EQ(engine.length(slot), 0u);
  }
}

TEST(Exactness, FitsTheSmallestWindow) {
  const auto engine = engine::make_synthetic_engine({.ctx = 16, .slots = 8, .ubatch = 4});
  EXPECT_TRUE(measure_exactness(*engine)->all_exact());
  const auto single = engine::make_synthetic_engine({.ctx = 4, .slots = 1});
  EXPECT_TRUE(measure_exactness(*single)->all_exact());
}

}  // namespace
}  // namespace truekeel::worker
