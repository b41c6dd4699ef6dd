// SPDX-License-Identifier: Apache-2.0
#include "engine/tokenizer.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "base/philox.h"
#include "base/test_folder.h"
#include "engine/llama_vocabulary.h"
#include "engine/test_model.h"

namespace truekeel::engine {
namespace {

const Tokenizer& smollm() {
  static const auto tokenizer = Tokenizer::load(test_model_path());
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return **tokenizer;
}

std::uint64_t count_whole(const Vocabulary& vocabulary, std::string_view text) {
  std::vector<Token> tokens;
  vocabulary.tokenize(text, kPrompt, tokens);
  return tokens.size();
}

/// Words, numbers, punctuation, several scripts and runs of blanks, in any order.
std::string random_text(PhiloxStream& random, std::size_t bytes) {
  static constexpr std::array<std::string_view, 20> kParts = {
      "the",   "Gateway", "a", "I'm",   "don't", "12345", " ",  "  ",           "\n",  "\n\n ",
      ". The", ", so",    "-", "naïve", "会话",  "สวัสดี",  "🙂", "<|im_start|>", "x_y", "tokenisation"};
  std::string text;
  while (text.size() < bytes) {
    text += kParts[random.below(kParts.size())];
    if (random.below(2) == 0) text += ' ';
  }
  return text;
}

TEST(SafeCut, StandsBeforeASingleSpaceBetweenLetters) {
  EXPECT_EQ(safe_cut("ab cd", 0), 2u);
  EXPECT_EQ(safe_cut("ab cd ef", 3), 5u);
  EXPECT_EQ(safe_cut("ab  cd", 0), 6u);
  EXPECT_EQ(safe_cut("a1 b", 0), 4u);
  EXPECT_EQ(safe_cut("ab ", 0), 3u);
  EXPECT_EQ(safe_cut("", 0), 0u);
}

// The law that lets a count stop early: cut at every safe place, a text has the tokens of its parts.
TEST(SafeCut, LeavesTheTokensAsTheyAreInEveryFamily) {
  for (const std::string name : {"llama-bpe", "qwen2", "gpt-2", "starcoder", "deepseek-llm", "gemma-4"}) {
    const auto model = load_llama_model(TRUEKEEL_TEST_VOCABULARIES "/ggml-vocab-" + name + ".gguf",
                                        {.vocabulary_only = true});
    ASSERT_TRUE(model) << model.error().message;
    const auto vocabulary = LlamaVocabulary::make(**model);
    ASSERT_TRUE(vocabulary) << vocabulary.error().message;
    EXPECT_TRUE((*vocabulary)->words_are_independent()) << name;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      PhiloxStream random(seed);
      const auto text = random_text(random, 400);
      std::vector<Token> whole, parts;
      (*vocabulary)->tokenize(text, {.parse_special = true}, whole);
      for (std::string_view rest = text; !rest.empty();) {
        const auto cut = safe_cut(rest, 1);
        (*vocabulary)->tokenize(rest.substr(0, cut), {.parse_special = true}, parts);
        rest.remove_prefix(cut);
      }
      EXPECT_EQ(whole, parts) << name << ", seed " << seed;
    }
  }
}

TEST(Tokenizer, CountsAsTheWholeTextWould) {
  PhiloxStream random(1);
  for (const std::size_t bytes : {0u, 1u, 100u, 5000u, 40000u}) {
    const auto text = random_text(random, bytes);
    EXPECT_EQ(smollm().count(text), (fleet::TokenCount{count_whole(smollm().vocabulary(), text), false}))
        << bytes;
  }
}

TEST(Tokenizer, StopsOnceTheLimitIsPassed) {
  PhiloxStream random(2);
  const auto text = random_text(random, 200000);
  const auto all = smollm().count(text).tokens;
  const auto stopped = smollm().count(text, 100);
  EXPECT_TRUE(stopped.stopped);
  EXPECT_GT(stopped.tokens, 100u);
  EXPECT_LT(stopped.tokens, all / 10);
  EXPECT_EQ(smollm().count(text, all), (fleet::TokenCount{all, false}));
}

TEST(Tokenizer, CountsAConversationWithItsTemplate) {
  const std::vector<Message> messages = {{"user", "Say hello."}};
  const auto rendered = smollm().vocabulary().render(messages);
  ASSERT_TRUE(rendered);
  EXPECT_TRUE(rendered->starts_with("<|im_start|>system\nYou are a helpful AI assistant")) << *rendered;
  EXPECT_TRUE(rendered->ends_with("<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n"));
  EXPECT_EQ(smollm().count_chat(messages)->tokens, count_whole(smollm().vocabulary(), *rendered));
}

TEST(Tokenizer, TrueCountLiesWithinTheBounds) {
  const auto llama = Tokenizer::load(TRUEKEEL_TEST_VOCABULARIES "/ggml-vocab-llama-bpe.gguf");
  ASSERT_TRUE(llama) << llama.error().message;
  // SmolLM2 has no tokens for some control characters: they vanish, so that nothing holds from below.
  EXPECT_EQ(smollm().traits().longest_piece_bytes, 0u);
  EXPECT_EQ((*llama)->traits().longest_piece_bytes, 128u);
  static constexpr std::array<std::string_view, 3> kRoles = {"system", "user", "assistant"};
  for (const Tokenizer* tokenizer : {&smollm(), static_cast<const Tokenizer*>(llama->get())}) {
    const auto& traits = tokenizer->traits();
    ASSERT_TRUE(traits.byte_bound_holds);
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      PhiloxStream random(seed);
      std::vector<Message> messages;
      fleet::PromptShape shape;
      for (std::uint64_t n = 1 + random.below(6); n > 0; --n) {
        const auto role = kRoles[random.below(kRoles.size())];
        messages.push_back({std::string(role), random_text(random, random.below(300))});
        shape.text_bytes += messages.back().content.size();
        ++shape.messages;
      }
      const auto count = tokenizer->count_chat(messages);
      ASSERT_TRUE(count) << count.error().message;
      EXPECT_LE(count->tokens,
                shape.text_bytes + shape.messages * traits.overhead_per_message + traits.overhead_per_request)
          << "seed " << seed;
      if (traits.longest_piece_bytes > 0) {
        EXPECT_GE(count->tokens, shape.text_bytes / traits.longest_piece_bytes) << "seed " << seed;
      }
    }
  }
}

TEST(Tokenizer, AVeryLongWordIsCountedInEveryFamily) {
  EXPECT_GT(smollm().count(std::string(200000, 'a')).tokens, 1000u);
  // Its words go through std::regex, which would exhaust the stack.
  const auto deepseek = Tokenizer::load(TRUEKEEL_TEST_VOCABULARIES "/ggml-vocab-deepseek-llm.gguf");
  ASSERT_TRUE(deepseek) << deepseek.error().message;
  EXPECT_GT((*deepseek)->count(std::string(200000, 'a')).tokens, 1000u);
}

TEST(Tokenizer, SaysWhatIsWrongWithAFile) {
  const auto missing = Tokenizer::load("/nowhere/model.gguf");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(), (Error{ErrorCode::not_found, "no model file '/nowhere/model.gguf'"}));
  const TestFolder folder;
  const std::string no_model = folder.file("no_model.gguf");
  std::ofstream(no_model) << "this is no GGUF";
  EXPECT_EQ(Tokenizer::load(no_model).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace truekeel::engine
