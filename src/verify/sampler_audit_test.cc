// SPDX-License-Identifier: Apache-2.0
#include "verify/sampler_audit.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>

#include "base/philox.h"
#include "evidence/confidence.h"

namespace truekeel::verify {
namespace {

constexpr std::size_t kListed = 20;
constexpr unsigned kTokens = 40;

/// Probabilities 0.5, 0.25, ...: 2^-20 is left for what is not listed.
double logprob_of(std::size_t rank) { return -static_cast<double>(rank + 1) * std::log(2); }

using Draw = std::function<std::size_t(PhiloxStream&)>;

std::size_t fair(PhiloxStream& random) {
  std::size_t rank = 0;
  while (rank + 1 < kListed && random.uniform() < 0.5) ++rank;
  return rank;
}

/// An answer in chat's shape whose tokens are drawn by `draw`.
std::string answer(PhiloxStream& random, const Draw& draw, std::uint64_t stated = kTokens) {
  std::string list, records;
  for (std::size_t i = 0; i < kListed; ++i)
    list += fmt::format(R"({}{{"token":"{}","logprob":{:.9g}}})", i == 0 ? "" : ",", i, logprob_of(i));
  for (unsigned i = 0; i < kTokens; ++i) {
    const std::size_t rank = draw(random);
    records += fmt::format(R"({}{{"token":"{}","logprob":{:.9g},"top_logprobs":[{}]}})", i == 0 ? "" : ",",
                           rank, logprob_of(rank), list);
  }
  return fmt::format(
      R"({{"id":"1","choices":[{{"index":0,"message":{{"content":"x"}},"finish_reason":"length","logprobs":{{"content":[{}]}}}}],)"
      R"("usage":{{"prompt_tokens":5,"completion_tokens":{},"total_tokens":{}}},"system_fingerprint":"fp"}})",
      records, stated, stated + 5);
}

Recipe plain() { return {"temperature 1", 1, 1}; }

bool objects(std::uint64_t seed, const Draw& draw, double error, EngineKind engine, unsigned answers) {
  SamplerAudit audit(engine, error);
  PhiloxStream random(seed);
  for (unsigned i = 0; i < answers && !audit.objects(); ++i)
    EXPECT_TRUE(audit.add(answer(random, draw), plain(), kTokens));
  return audit.objects();
}

TEST(SamplerAudit, AccusesFairSamplersInAtMostTheStatedShareOfRuns) {
  constexpr std::uint64_t kRuns = 150;
  constexpr double kError = 0.05;
  for (const auto engine : {EngineKind::llama_cpp, EngineKind::openai}) {
    std::uint64_t count = 0;
    for (std::uint64_t run = 0; run < kRuns; ++run) count += objects(run, fair, kError, engine, 10);
    EXPECT_LE(evidence::rate_lower_bound(count, kRuns, 0.99), kError) << count << " of " << kRuns;
  }
}

TEST(SamplerAudit, FindsATailThatIsTooFull) {
  const Draw full = [](PhiloxStream& random) { return random.uniform() < 0.05 ? kListed - 1 : fair(random); };
  EXPECT_TRUE(objects(1, full, 1e-3, EngineKind::vllm, 20));
  EXPECT_TRUE(objects(2, full, 1e-3, EngineKind::openai, 20));
}

TEST(SamplerAudit, FindsAColderSamplerAndSaysSo) {
  const Draw cold = [](PhiloxStream& random) {
    std::size_t rank = 0;
    while (rank + 1 < kListed && random.uniform() < 0.25) ++rank;
    return rank;
  };
  SamplerAudit audit(EngineKind::llama_cpp, 1e-3);
  PhiloxStream random(3);
  for (int i = 0; i < 40 && !audit.objects(); ++i) audit.add(answer(random, cold), plain(), kTokens);
  ASSERT_TRUE(audit.sampler_objects());
  EXPECT_EQ(audit.lead().alternative, evidence::Alternative::colder);
  EXPECT_GT(audit.lead().rate, 0.1);
}

TEST(SamplerAudit, ForecastsWhatItWouldHaveFoundByNow) {
  SamplerAudit audit(EngineKind::llama_cpp, 1e-3);
  EXPECT_FALSE(audit.found_tail());
  PhiloxStream random(4);
  for (int i = 0; i < 60; ++i) audit.add(answer(random, fair), plain(), kTokens);
  EXPECT_FALSE(audit.objects());
  EXPECT_EQ(audit.counts().tokens, 60 * kTokens);
  ASSERT_TRUE(audit.found_tail());
  EXPECT_LE(*audit.found_tail(), 0.008);
  // Where the best token has one half, its loss hardly shows; at temperature 0 it does.
  EXPECT_FALSE(audit.found_top1());
  EXPECT_FALSE(audit.is_enough());
  const Draw greedy = [](PhiloxStream&) { return std::size_t{0}; };
  for (int i = 0; i < 60; ++i) audit.add(answer(random, greedy), {"temperature 0", 0, 1}, kTokens);
  EXPECT_FALSE(audit.objects());
  EXPECT_TRUE(audit.found_top1());
  EXPECT_TRUE(audit.is_enough());
}

TEST(SamplerAudit, EntersWhatLeftNoRecordAsLost) {
  SamplerAudit audit(EngineKind::llama_cpp, 1e-3);
  PhiloxStream random(5);
  audit.add(answer(random, fair), plain(), kTokens);
  const double before = audit.log_e();
  EXPECT_FALSE(audit.add("data: {}\n\n", plain(), kTokens));
  EXPECT_TRUE(audit.add(answer(random, fair, kTokens + 3), plain(), kTokens + 3));
  EXPECT_TRUE(audit.add(R"({"choices":[{"message":{}}]})", plain(), kTokens));
  EXPECT_TRUE(audit.add(answer(random, fair, 1'000'000'000'000), plain(), kTokens));
  EXPECT_EQ(audit.counts().lost_tokens, kTokens + 3 + kTokens + kTokens);
  EXPECT_EQ(audit.counts().lost_answers, 1U);
  EXPECT_LT(audit.log_e(), before);
}

TEST(SamplerAudit, ObjectsToAnswersThatBreakWhatTheirEngineKeeps) {
  SamplerAudit audit(EngineKind::vllm, 1e-3);
  PhiloxStream random(6);
  for (int i = 0; i < 8; ++i) audit.add(answer(random, fair, kTokens + 1), plain(), kTokens + 1);
  EXPECT_TRUE(audit.objects());
  EXPECT_FALSE(audit.sampler_objects());
  const auto standings = audit.invariants();
  const auto records =
      std::ranges::find(standings, sentinel::Invariant::records_complete, &SamplerAudit::Standing::invariant);
  ASSERT_NE(records, standings.end());
  EXPECT_EQ(records->violated, 8U);
  EXPECT_TRUE(records->counts);
}

TEST(SamplerAudit, MakesOnlySafeBetsOnAnEngineThatIsNotKnown) {
  EXPECT_EQ(recipes(EngineKind::openai).size(), 2U);
  EXPECT_FALSE(recipes(EngineKind::openai)[0].sampling(EngineKind::openai).filters_known);
  EXPECT_TRUE(recipes(EngineKind::vllm)[0].sampling(EngineKind::vllm).filters_known);
  // A server that quietly keeps the best four alone.
  const Draw filtered = [](PhiloxStream& random) {
    std::size_t rank = 4;
    while (rank >= 4) rank = fair(random);
    return rank;
  };
  EXPECT_FALSE(objects(7, filtered, 1e-3, EngineKind::openai, 30));
  EXPECT_TRUE(objects(7, filtered, 1e-3, EngineKind::llama_cpp, 60));
}

}  // namespace
}  // namespace truekeel::verify
