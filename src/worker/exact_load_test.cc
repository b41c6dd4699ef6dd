// SPDX-License-Identifier: Apache-2.0
// The promise behind `replay: exact`, on the real model: under a mixed load over all slots every row of
// logits has the bits that the same request gets alone. TRUEKEEL_EXACT_TOKENS sets how many tokens are
// compared; the full check is 10,000.
#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstdlib>
#include <deque>
#include <unordered_map>

#include "engine/llama_engine.h"
#include "engine/test_model.h"
#include "worker/test_jobs.h"

namespace truekeel::worker {
namespace {

using engine::Slot;

std::uint64_t extend(std::uint64_t hash, Token token) {
  return XXH3_64bits_withSeed(&token, sizeof token, hash);
}

/// Passes calls on and keeps a hash of every row, by the hash of the context that it follows.
class HashingEngine final : public engine::Engine {
 public:
  std::unordered_map<std::uint64_t, std::uint64_t> rows;
  std::size_t widest = 0;

  explicit HashingEngine(std::unique_ptr<engine::Engine> inner)
      : inner_(std::move(inner)), contexts_(inner_->info().slots, 0) {}
  [[nodiscard]] const engine::EngineInfo& info() const override { return inner_->info(); }
  [[nodiscard]] const engine::Vocabulary& vocabulary() const override { return inner_->vocabulary(); }
  Result<void> prefill(Slot slot, std::span<const Token> piece, std::size_t rows_wanted) override {
    for (const Token token : piece) contexts_[slot] = extend(contexts_[slot], token);
    auto done = inner_->prefill(slot, piece, rows_wanted);
    if (rows_wanted > 0) keep(slot, rows_wanted - 1);
    return done;
  }
  Result<void> decode(std::span<const engine::SlotToken> step) override {
    auto done = inner_->decode(step);
    widest = std::max(widest, step.size());
    for (std::size_t row = 0; row < step.size(); ++row) {
      contexts_[step[row].slot] = extend(contexts_[step[row].slot], step[row].token);
      keep(step[row].slot, row);
    }
    return done;
  }
  [[nodiscard]] std::span<const float> logits() const override { return inner_->logits(); }
  void release(Slot slot) override {
    contexts_[slot] = 0;
    inner_->release(slot);
  }
  [[nodiscard]] std::uint32_t length(Slot slot) const override { return inner_->length(slot); }

 private:
  void keep(Slot slot, std::size_t index) {
    const auto values = row(index);
    rows[contexts_[slot]] = XXH3_64bits(values.data(), values.size_bytes());
  }

  const std::unique_ptr<engine::Engine> inner_;
  std::vector<std::uint64_t> contexts_;
};

Job make_job(std::uint64_t seed) {
  auto job = random_job(seed, seed % 5 == 0 ? 300 : 30, seed % 7 == 0 ? 200 : 60);
  // Greedy and filtered answers fall into loops; flat ones visit more of the model.
  if (job.sampling.temperature == 0) job.sampling.temperature = 1;
  return job;
}

TEST(ExactLoad, EveryRowHasTheBitsOfTheRequestAlone) {
  const char* wanted_text = std::getenv("TRUEKEEL_EXACT_TOKENS");
  const std::uint64_t wanted = wanted_text != nullptr ? std::strtoull(wanted_text, nullptr, 10) : 400;
  auto made = engine::make_llama_engine(
      {.model_path = engine::test_model_path(), .ctx = 640, .slots = 8, .threads = 1, .ubatch = 128});
  ASSERT_TRUE(made) << made.error().message;
  HashingEngine engine(std::move(*made));

  // Requests come as slots become free, some a few steps late: every width and many gaps occur.
  PhiloxStream random(1);
  std::vector<std::shared_ptr<KeptAnswer>> answers;
  std::uint64_t tokens = 0;
  Scheduler scheduler(engine, 8);
  for (std::uint64_t next = 0; tokens < wanted || scheduler.busy() > 0;) {
    while (tokens < wanted && scheduler.has_free_slot() && random.below(4) > 0) {
      answers.push_back(admit(scheduler, make_job(next++)));
    }
    tokens += scheduler.step().completed;
  }
  EXPECT_EQ(engine.widest, 8u);

  const auto together = std::move(engine.rows);
  for (std::uint64_t i = 0; i < answers.size(); ++i) {
    engine.rows.clear();
    const auto alone = run_alone(engine, make_job(i));
    EXPECT_EQ(answers[i]->tokens(), alone->tokens()) << "request " << i;
    for (const auto& [context, row] : engine.rows) {
      const auto found = together.find(context);
      ASSERT_TRUE(found != together.end() && found->second == row) << "request " << i;
    }
  }
  RecordProperty("tokens", std::to_string(tokens));
}

}  // namespace
}  // namespace truekeel::worker
