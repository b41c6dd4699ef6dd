// SPDX-License-Identifier: Apache-2.0
#include "truekeel/llama_sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/philox.h"
#include "conformance/kit.h"

namespace truekeel {
namespace {

struct Free {
  void operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }
};
using Sampler = std::unique_ptr<llama_sampler, Free>;

tk_select_params defaults() {
  tk_select_params params;
  tk_select_params_init(&params);
  return params;
}

Sampler make(std::uint32_t vocabulary, std::uint64_t seed, const tk_select_params& params = defaults()) {
  return Sampler(truekeel_llama_sampler_init(vocabulary, seed, 0, &params));
}

std::vector<llama_token_data> random_candidates(std::uint32_t vocabulary, std::uint64_t seed) {
  PhiloxStream random(seed);
  std::vector<llama_token_data> candidates;
  candidates.reserve(vocabulary);
  for (std::uint32_t id = 0; id < vocabulary; ++id)
    candidates.push_back({static_cast<llama_token>(id), static_cast<float>(8 * random.uniform()), 0});
  return candidates;
}

/// The id that the sampler selects; -1 if none.
llama_token apply(llama_sampler* sampler, std::vector<llama_token_data> candidates) {
  llama_token_data_array array = {candidates.data(), candidates.size(), -1, false};
  llama_sampler_apply(sampler, &array);
  return array.selected < 0 ? -1 : array.data[array.selected].id;
}

/// The plug-in behind the conformance kit, through libllama's own calls.
class PluginSampler final : public conformance::Sampler {
 public:
  PluginSampler() {
    using namespace conformance;
    semantics_.name = "llama_sampler plug-in";
    semantics_.seeding = Seeding::keyed;
    semantics_.resolution = 0x1p-22;
    semantics_.batch_max = 8;
    semantics_.batch_invariant = true;
    semantics_.edges = {{Edge::nan_logit, EdgeRule::refused},
                        {Edge::plus_infinity, EdgeRule::refused},
                        {Edge::all_forbidden, EdgeRule::refused},
                        {Edge::temperature_zero, EdgeRule::greedy},
                        {Edge::temperature_negative, EdgeRule::refused},
                        {Edge::top_p_zero, EdgeRule::greedy},
                        {Edge::top_p_above_one, EdgeRule::refused}};
  }

  [[nodiscard]] const conformance::Semantics& semantics() const override { return semantics_; }

  [[nodiscard]] Result<std::vector<conformance::Draw>> draw(const conformance::Call& call) override {
    std::vector<conformance::Draw> draws;
    for (std::uint64_t step = 0; step < call.steps; ++step)
      for (const conformance::Row& row : call.rows) draws.push_back(draw_row(row, row.position + step));
    return draws;
  }

 private:
  conformance::Draw draw_row(const conformance::Row& row, std::uint64_t position) {
    tk_select_params params = defaults();
    params.temperature = row.params.temperature;
    params.top_k = static_cast<std::uint32_t>(std::max(row.params.top_k.value_or(0), 0));
    params.top_p = row.params.top_p;
    params.min_p = row.params.min_p;
    params.presence = row.params.presence;
    params.frequency = row.params.frequency;
    params.repetition = row.params.repetition;
    std::vector<tk_select_bias> bias;
    bias.reserve(row.params.bias.size());
    for (const auto& [id, value] : row.params.bias) bias.push_back({static_cast<std::uint32_t>(id), value});
    std::ranges::sort(bias, {}, &tk_select_bias::id);
    params.bias = bias.data();
    params.bias_length = bias.size();
    const auto vocabulary = static_cast<std::uint32_t>(row.logits.size());
    // The plug-in's position is what it has accepted; tokens outside the vocabulary count nothing else.
    const truekeel::Sampler sampler = make(vocabulary, row.seed.value_or(unseeded_++), params);
    if (!sampler) return std::unexpected("parameters refused");
    for (conformance::TokenId id : row.history) llama_sampler_accept(sampler.get(), id);
    for (std::uint64_t i = row.history.size(); i < position; ++i)
      llama_sampler_accept(sampler.get(), LLAMA_TOKEN_NULL);
    std::vector<llama_token_data> candidates;
    candidates.reserve(vocabulary);
    for (std::uint32_t id = 0; id < vocabulary; ++id)
      candidates.push_back({static_cast<llama_token>(id), row.logits[id], 0});
    const llama_token token = apply(sampler.get(), std::move(candidates));
    if (token >= 0) return token;
    return std::unexpected(tk_select_fault_text(truekeel_llama_sampler_choice(sampler.get())->fault));
  }

  conformance::Semantics semantics_;
  std::uint64_t unseeded_ = 1'000'000;
};

TEST(LlamaSampler, Conforms) {
  PluginSampler plugin;
  for (const char* only : {"distribution/top", "distribution/p", "edge/", "batch/", "law/"})
    for (const conformance::Outcome& outcome : run(plugin, {.draws = 500, .only = only}).outcomes)
      EXPECT_TRUE(outcome.status == conformance::Status::passed ||
                  outcome.status == conformance::Status::observed)
          << outcome.name << ": " << outcome.seen.what;
}

TEST(LlamaSampler, SelectsTheSameFromShuffledCandidates) {
  const Sampler sampler = make(1000, 5);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    std::vector<llama_token_data> candidates = random_candidates(1000, seed);
    const llama_token plain = apply(sampler.get(), candidates);
    std::ranges::reverse(candidates);
    EXPECT_EQ(apply(sampler.get(), candidates), plain) << "row " << seed;
    llama_sampler_accept(sampler.get(), plain);
  }
}

TEST(LlamaSampler, StandsAtTheEndOfAChain) {
  const Sampler chain(llama_sampler_chain_init(llama_sampler_chain_default_params()));
  llama_sampler_chain_add(chain.get(), llama_sampler_init_top_k(3));
  llama_sampler_chain_add(chain.get(), make(1000, 5).release());
  std::vector<llama_token_data> candidates = random_candidates(1000, 1);
  std::vector<llama_token_data> best = candidates;
  std::ranges::sort(best, std::greater{}, &llama_token_data::logit);
  for (int i = 0; i < 50; ++i) {
    const llama_token token = apply(chain.get(), candidates);
    llama_sampler_accept(chain.get(), token);
    EXPECT_THAT(token, testing::AnyOf(best[0].id, best[1].id, best[2].id));
  }
}

TEST(LlamaSampler, ACloneGoesOnAndAResetStartsAgain) {
  tk_select_params params = defaults();
  params.presence = 1;
  const Sampler sampler = make(500, 9, params);
  const auto draw = [](llama_sampler* from) {
    std::vector<llama_token> tokens;
    for (std::uint64_t i = 0; i < 20; ++i) {
      tokens.push_back(apply(from, random_candidates(500, i)));
      llama_sampler_accept(from, tokens.back());
    }
    return tokens;
  };
  const std::vector<llama_token> first = draw(sampler.get());
  const Sampler clone(llama_sampler_clone(sampler.get()));
  const std::vector<llama_token> second = draw(sampler.get());
  EXPECT_NE(first, second);
  EXPECT_EQ(draw(clone.get()), second);
  llama_sampler_reset(sampler.get());
  EXPECT_EQ(draw(sampler.get()), first);
}

TEST(LlamaSampler, ARefusedRowSelectsNothingAndSaysWhy) {
  const Sampler sampler = make(10, 1);
  std::vector<llama_token_data> candidates = random_candidates(10, 1);
  candidates[4].logit = NAN;
  EXPECT_EQ(apply(sampler.get(), candidates), -1);
  const tk_select_choice* choice = truekeel_llama_sampler_choice(sampler.get());
  EXPECT_EQ(choice->fault, static_cast<std::uint32_t>(TK_SELECT_NAN_LOGIT));
  EXPECT_EQ(choice->fault_id, 4U);
}

TEST(LlamaSampler, RefusesBadParametersAtOnce) {
  tk_select_params params = defaults();
  params.temperature = -1;
  EXPECT_EQ(make(10, 1, params), nullptr);
  EXPECT_EQ(truekeel_llama_sampler_init(0, 1, 0, &params), nullptr);
  EXPECT_EQ(truekeel_llama_sampler_init(10, 1, 0, nullptr), nullptr);
  params = defaults();
  params.bias_length = 1;  // and no list
  EXPECT_EQ(make(10, 1, params), nullptr);
  const std::vector<std::uint8_t> chain(1000);
  params = defaults();
  params.chain = chain.data();
  params.chain_length = 1000;
  EXPECT_EQ(make(10, 1, params), nullptr);
  const Sampler foreign(llama_sampler_init_greedy());
  EXPECT_EQ(truekeel_llama_sampler_choice(foreign.get()), nullptr);
}

TEST(LlamaSampler, HasNoChoiceBeforeTheFirstRow) {
  const Sampler sampler = make(10, 1);
  EXPECT_EQ(truekeel_llama_sampler_choice(sampler.get())->fault,
            static_cast<std::uint32_t>(TK_SELECT_BAD_BATCH));
  EXPECT_NE(apply(sampler.get(), random_candidates(10, 1)), -1);
  EXPECT_EQ(truekeel_llama_sampler_choice(sampler.get())->fault, static_cast<std::uint32_t>(TK_SELECT_OK));
}

TEST(LlamaSampler, ReadsListsAsTheCInterfaceDoes) {
  tk_select_params params = defaults();
  params.allowed_words = 1;  // no mask: all are allowed
  const Sampler unmasked = make(10, 1, params);
  ASSERT_NE(unmasked, nullptr);
  apply(unmasked.get(), random_candidates(10, 1));
  EXPECT_EQ(truekeel_llama_sampler_choice(unmasked.get())->kept_count, 10U);

  const std::uint8_t none = 0;
  params = defaults();
  params.chain = &none;  // a chain without operations: neither top-k nor another filter is offered
  params.top_k = 3;
  EXPECT_EQ(make(10, 1, params), nullptr);
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  char buffer[4096];
  while (const std::size_t got = fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, got);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return text;
}

TEST(LlamaSampler, TheExampleGeneratesWithARealModelAndTheSeedDecides) {
  const char* model = std::getenv("TRUEKEEL_MODEL");
  const std::string command =
      std::string(TRUEKEEL_EXAMPLE) + " " + (model != nullptr ? model : TRUEKEEL_TEST_MODEL) + " ";
  const std::string seven = output_of(command + "7");
  EXPECT_THAT(seven, testing::HasSubstr("kept, probability"));
  EXPECT_EQ(output_of(command + "7"), seven);
  EXPECT_NE(output_of(command + "8"), seven);
}

}  // namespace
}  // namespace truekeel
