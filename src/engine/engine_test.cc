// SPDX-License-Identifier: Apache-2.0
// One suite for every engine: the real one on the default model, and the synthetic one.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <bit>
#include <functional>

#include "base/philox.h"
#include "engine/llama_engine.h"
#include "engine/synthetic_engine.h"
#include "engine/test_model.h"

namespace truekeel::engine {
namespace {

struct Make {
  std::string name;
  std::function<Result<std::unique_ptr<Engine>>()> engine;
};

void PrintTo(const Make& make, std::ostream* out) { *out << make.name; }

LlamaOptions small_options() {
  return {.model_path = test_model_path(), .ctx = 300, .slots = 4, .threads = 1, .ubatch = 128};
}

class EngineTest : public testing::TestWithParam<Make> {
 protected:
  void SetUp() override {
    auto made = GetParam().engine();
    ASSERT_TRUE(made) << made.error().message;
    engine_ = std::move(*made);
  }

  std::vector<Token> random_tokens(std::uint64_t seed, std::size_t count) {
    PhiloxStream random(seed);
    std::vector<Token> tokens(count);
    for (auto& token : tokens) token = static_cast<Token>(random.below(250));
    return tokens;
  }

  void fill(Slot slot, std::span<const Token> prompt) {
    const std::size_t ubatch = engine_->info().numerics.ubatch;
    engine_->release(slot);
    for (; !prompt.empty(); prompt = prompt.subspan(std::min(ubatch, prompt.size()))) {
      const auto piece = prompt.first(std::min(ubatch, prompt.size()));
      ASSERT_TRUE(engine_->prefill(slot, piece, piece.size() == prompt.size() ? 1 : 0));
    }
  }

  std::vector<std::uint32_t> bits(std::size_t index) {
    std::vector<std::uint32_t> copy;
    for (const float logit : engine_->row(index)) copy.push_back(std::bit_cast<std::uint32_t>(logit));
    return copy;
  }

  /// The rows after a prompt and after each of some further tokens, the slot all by itself.
  std::vector<std::vector<std::uint32_t>> alone(Slot slot, std::span<const Token> prompt,
                                                std::span<const Token> further) {
    fill(slot, prompt);
    std::vector<std::vector<std::uint32_t>> rows = {bits(0)};
    for (const Token token : further) {
      EXPECT_TRUE(engine_->decode(std::array{SlotToken{slot, token}}));
      rows.push_back(bits(0));
    }
    engine_->release(slot);
    return rows;
  }

  std::unique_ptr<Engine> engine_;
};

TEST_P(EngineTest, TextSurvivesTokens) {
  const auto& vocabulary = engine_->vocabulary();
  const std::string text = "Say naïve 会 🙂 twice.\n  x";
  std::vector<Token> tokens;
  vocabulary.tokenize(text, {}, tokens);
  EXPECT_EQ(detokenize(vocabulary, tokens), text);
}

TEST_P(EngineTest, ATemplateEndsWithTheCueToAnswer) {
  const auto& vocabulary = engine_->vocabulary();
  const auto rendered = vocabulary.render(std::vector<Message>{{"user", "Hi."}});
  ASSERT_TRUE(rendered);
  EXPECT_NE(rendered->find("Hi."), std::string::npos);
  EXPECT_TRUE(rendered->ends_with("assistant\n"));
  std::vector<Token> tokens;
  vocabulary.tokenize(*rendered, kPrompt, tokens);
  EXPECT_FALSE(vocabulary.is_text(tokens.front()));
}

TEST_P(EngineTest, ASlotGivesTheSameBitsAgain) {
  const auto prompt = random_tokens(1, 150), further = random_tokens(2, 3);
  const auto first = alone(0, prompt, further);
  EXPECT_TRUE(first == alone(0, prompt, further));
  EXPECT_TRUE(first == alone(3, prompt, further));
}

TEST_P(EngineTest, NeighboursAndGapsDoNotChangeASlot) {
  std::vector<std::vector<Token>> prompts, further;
  std::vector<std::vector<std::vector<std::uint32_t>>> expected;
  for (std::uint64_t slot = 0; slot < 4; ++slot) {
    prompts.push_back(random_tokens(slot, slot == 1 ? 270 : 5 + 30 * slot));
    further.push_back(random_tokens(slot + 10, 2));
    expected.push_back(alone(0, prompts[slot], further[slot]));
  }
  for (const auto& slots : std::vector<std::vector<Slot>>{{0, 1, 2, 3}, {0, 3}, {1}}) {
    for (Slot slot = 0; slot < 4; ++slot) fill(slot, prompts[slot]);
    for (std::size_t i = 0; i < 2; ++i) {
      std::vector<SlotToken> step;
      for (const Slot slot : slots) step.push_back({slot, further[slot][i]});
      ASSERT_TRUE(engine_->decode(step));
      for (std::size_t row = 0; row < slots.size(); ++row) {
        EXPECT_TRUE(bits(row) == expected[slots[row]][i + 1]) << "slot " << slots[row] << ", step " << i;
      }
    }
  }
}

TEST_P(EngineTest, LengthCountsWhatASlotHolds) {
  fill(2, random_tokens(1, 150));
  EXPECT_EQ(engine_->length(2), 150u);
  ASSERT_TRUE(engine_->decode(std::array{SlotToken{2, 7}}));
  EXPECT_EQ(engine_->length(2), 151u);
  EXPECT_EQ(engine_->length(1), 0u);
  engine_->release(2);
  EXPECT_EQ(engine_->length(2), 0u);
}

TEST_P(EngineTest, PrefillGivesAsManyRowsAsAsked) {
  const auto prompt = random_tokens(3, 20);
  const auto size = engine_->vocabulary().size();
  ASSERT_TRUE(engine_->prefill(0, prompt, 20));
  EXPECT_EQ(engine_->logits().size(), 20 * size);
  engine_->release(0);
  ASSERT_TRUE(engine_->prefill(0, prompt, 0));
  EXPECT_TRUE(engine_->logits().empty());
}

TEST_P(EngineTest, AWindowCanBeFilledToItsEnd) {
  const auto ctx = engine_->info().numerics.ctx;
  fill(1, random_tokens(4, ctx - 1));
  fill(0, random_tokens(5, ctx));
  ASSERT_TRUE(engine_->decode(std::array{SlotToken{1, 7}}));
  EXPECT_EQ(engine_->length(1), ctx);
}

INSTANTIATE_TEST_SUITE_P(All, EngineTest,
                         testing::Values(Make{"llama", [] { return make_llama_engine(small_options()); }},
                                         Make{"synthetic",
                                              []() -> Result<std::unique_ptr<Engine>> {
                                                return make_synthetic_engine(
                                                    {.ctx = 300, .slots = 4, .ubatch = 128});
                                              }}),
                         [](const auto& each) { return each.param.name; });

TEST(LlamaEngine, SaysWhatIsWrong) {
  auto options = small_options();
  options.kv_type = "f17";
  EXPECT_EQ(make_llama_engine(options).error(), (Error{ErrorCode::invalid_argument, "no KV type 'f17'"}));
  options.model_path = "/nowhere.gguf";
  options.kv_type = "f16";
  EXPECT_EQ(make_llama_engine(options).error().code, ErrorCode::not_found);
}

// Several threads share one slot's attention once it is long; without a neighbour it would get other bits.
TEST(LlamaEngine, ALongSlotOnTwoThreadsHasTheBitsOfOneThread) {
  const std::vector<Token> prompt(280, 77);
  std::vector<std::vector<float>> rows;
  for (const std::uint32_t threads : {1u, 2u}) {
    auto options = small_options();
    options.threads = threads;
    options.ubatch = 280;
    const auto engine = make_llama_engine(options);
    ASSERT_TRUE(engine);
    ASSERT_TRUE((*engine)->prefill(0, prompt, 0));
    ASSERT_TRUE((*engine)->decode(std::array{SlotToken{0, 5}}));
    rows.emplace_back((*engine)->row(0).begin(), (*engine)->row(0).end());
  }
  EXPECT_TRUE(rows[0] == rows[1]);
}

// What the fingerprint stands for: each of these settings changes the bits.
TEST(LlamaEngine, ScalingChangesTheLogits) {
  const std::vector<Token> prompt = {10, 20, 30, 40, 50, 60};
  std::vector<std::vector<float>> rows;
  for (const auto& [scaling, scale] :
       {std::pair{RopeScaling::model, 1.0}, std::pair{RopeScaling::none, 1.0},
        std::pair{RopeScaling::linear, 2.0}, std::pair{RopeScaling::yarn, 4.0}}) {
    auto options = small_options();
    options.rope_scaling = scaling;
    options.rope_scale = scale;
    const auto engine = make_llama_engine(options);
    ASSERT_TRUE(engine);
    ASSERT_TRUE((*engine)->prefill(0, prompt, 1));
    rows.emplace_back((*engine)->row(0).begin(), (*engine)->row(0).end());
  }
  EXPECT_EQ(rows[0], rows[1]);
  EXPECT_NE(rows[0], rows[2]);
  EXPECT_NE(rows[0], rows[3]);
  EXPECT_NE(rows[2], rows[3]);
}

}  // namespace
}  // namespace truekeel::engine
