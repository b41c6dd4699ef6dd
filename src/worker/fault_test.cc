// SPDX-License-Identifier: Apache-2.0
// Faults do what they say, to no more than they say, and leave honest records; on the synthetic engine.
#include "worker/fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/synthetic_engine.h"
#include "worker/test_jobs.h"

namespace truekeel::worker {
namespace {

using testing::HasSubstr;

std::unique_ptr<engine::Engine> make_engine(std::uint32_t slots = 4) {
  return engine::make_synthetic_engine({.seed = 7, .ctx = 400, .slots = slots, .ubatch = 32});
}

Fault fault_of(std::string_view text) {
  const auto fault = parse_fault(text);
  EXPECT_TRUE(fault) << text;
  return fault.value_or(Fault{});
}

/// A long answer with every record that there is.
Job plain_job(std::uint64_t seed, float temperature = 1) {
  Job job;
  job.prompt = {1, 2, 3};
  job.max_tokens = 300;
  job.ignore_end = true;
  job.sampling.temperature = temperature;
  job.sampling.seed = seed;
  job.logprobs = true;
  job.audit = Audit::full;
  return job;
}

struct Drill {
  std::unique_ptr<engine::Engine> engine = make_engine();
  FaultInjector faults{engine->vocabulary()};

  explicit Drill(std::vector<Fault> injected) { EXPECT_TRUE(faults.set(std::move(injected))); }

  std::vector<TokenRecord> run(Job job) {
    Scheduler scheduler(*engine, engine->info().slots, {}, kGivenPiece, &faults);
    const auto answer = admit(scheduler, std::move(job));
    worker::run(scheduler);
    return answer->records;
  }
};

TEST(Fault, IsReadAsItIsWritten) {
  EXPECT_EQ(fault_of("tail:0.008"), (Fault{.kind = Fault::Kind::tail, .rate = 0.008}));
  EXPECT_EQ(fault_of("tail:1,ids=script"),
            (Fault{.kind = Fault::Kind::tail, .rate = 1, .ids = Fault::Ids::script}));
  EXPECT_EQ(fault_of("top1:.5,batch>=4"), (Fault{.kind = Fault::Kind::top1, .rate = 0.5, .batch_least = 4}));
  for (const auto* text : {"tail:0.008,ids=uniform", "tail:0.05,ids=proportional", "tail:1,ids=script",
                           "top1:0.1", "top1:0.1,batch>=8"})
    EXPECT_EQ(to_string(fault_of(text)), text);
}

TEST(Fault, SaysWhatIsWrongWithIt) {
  for (const auto& [text, why] :
       std::vector<std::pair<std::string, std::string>>{{"tail", "no such fault"},
                                                        {"middle:0.1", "no such fault"},
                                                        {"tail:0", "no such rate"},
                                                        {"tail:1.01", "no such rate"},
                                                        {"tail:nan", "no such rate"},
                                                        {"top1:0.1x", "no such rate"},
                                                        {"tail:0.1,ids=latin", "no such ids"},
                                                        {"tail:0.1,batch>=2", "no such option"},
                                                        {"top1:0.1,ids=uniform", "no such option"},
                                                        {"top1:0.1,batch>=0", "above 0"},
                                                        {"top1:0.1,", "no such option"}}) {
    const auto fault = parse_fault(text);
    ASSERT_FALSE(fault) << text;
    EXPECT_THAT(fault.error().message, HasSubstr(why)) << text;
  }
}

TEST(Fault, AWorkerWithoutAFaultServesTheSame) {
  Drill drill({});
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    EXPECT_EQ(drill.run(random_job(seed)), run_alone(*drill.engine, random_job(seed))->records) << seed;
  EXPECT_EQ(drill.faults.counts().replaced, 0u);
  EXPECT_GT(drill.faults.counts().tokens, 0u);
}

// What a record says of an emitted token is what a score of the same tokens says, which no fault touches.
TEST(Fault, RecordsAreTrueOfWhatWasEmitted) {
  for (const auto* text : {"tail:0.3", "tail:0.3,ids=proportional", "top1:0.5"}) {
    Drill drill({fault_of(text)});
    const auto records = drill.run(plain_job(5));
    Job score = plain_job(5);
    score.mode = Mode::score;
    for (const auto& record : records) score.given.push_back(record.id);
    const auto scored = drill.run(std::move(score));
    ASSERT_EQ(scored.size(), records.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
      EXPECT_EQ(records[i].logprob, scored[i].logprob) << text << " at " << i;
      EXPECT_EQ(records[i].rank, scored[i].rank) << text << " at " << i;
      EXPECT_EQ(records[i].choice.id, static_cast<std::uint32_t>(records[i].id));
      EXPECT_EQ(records[i].choice.rank, records[i].rank) << "no bias, no penalties";
      EXPECT_NEAR(records[i].full.logprob, records[i].logprob, 1e-9);
      EXPECT_EQ(records[i].full.tail_mass, scored[i].full.tail_mass);
    }
    EXPECT_GT(drill.faults.counts().replaced, 50u) << text;
  }
}

TEST(Fault, TheTailIsTheTailAndTheRateTheRate) {
  double mean_uniform = 0;
  for (const auto* text : {"tail:0.2", "tail:0.2,ids=proportional"}) {
    Drill drill({fault_of(text)});
    std::uint64_t tail = 0, tokens = 0;
    double mean = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      for (const auto& record : drill.run(plain_job(seed, 0))) {
        ++tokens;
        if (record.rank == 0) continue;
        ++tail;
        mean += record.logprob;
        EXPECT_LT(record.logprob, std::log(kTailProbability));
      }
    }
    const auto counts = drill.faults.counts();
    EXPECT_EQ(counts.tokens, tokens);
    EXPECT_EQ(counts.replaced, tail);
    EXPECT_EQ(counts.answers_harmed, 20u);
    EXPECT_NEAR(static_cast<double>(tail) / static_cast<double>(tokens), 0.2, 0.02);
    mean /= static_cast<double>(tail);
    // Those of the tail that are less improbable come more often.
    if (mean_uniform != 0) EXPECT_GT(mean, mean_uniform + 0.5);
    mean_uniform = mean;
  }
}

TEST(Fault, TheBestTokenIsLostAndTheOthersAreDrawnAsEver) {
  Drill drill({fault_of("top1:1")});
  for (const auto& record : drill.run(plain_job(1, 0))) EXPECT_EQ(record.rank, 1u) << "the best of the rest";
  auto job = plain_job(1);
  job.sampling.top_k = 3;
  for (const auto& record : drill.run(std::move(job))) {
    EXPECT_GE(record.rank, 1u);
    EXPECT_LE(record.rank, 3u) << "three are kept of those that are left";
  }
}

TEST(Fault, CanNeedABatch) {
  Drill drill({fault_of("top1:1,batch>=2")});
  for (const auto& record : drill.run(plain_job(1, 0))) EXPECT_EQ(record.rank, 0u);
  Scheduler scheduler(*drill.engine, drill.engine->info().slots, {}, kGivenPiece, &drill.faults);
  const auto one = admit(scheduler, plain_job(1, 0)), other = admit(scheduler, plain_job(2, 0));
  run(scheduler);
  EXPECT_EQ(one->records.front().rank, 0u) << "after the prompt there is one row";
  EXPECT_EQ(one->records.back().rank + other->records[100].rank, 2u);
}

TEST(Fault, EqualSeedsMeetEqualFaults) {
  Drill drill({fault_of("tail:0.1"), fault_of("top1:0.1")});
  EXPECT_EQ(drill.run(plain_job(3)), drill.run(plain_job(3)));
  EXPECT_NE(drill.run(plain_job(3)), drill.run(plain_job(4)));
}

TEST(Fault, ReplaysAndScoresAreNotTouched) {
  Drill drill({fault_of("tail:1")});
  auto job = plain_job(2);
  job.mode = Mode::replay_exact;
  for (const auto& record : run_alone(*drill.engine, plain_job(2))->records) job.given.push_back(record.id);
  for (const auto& record : drill.run(std::move(job)))
    EXPECT_EQ(static_cast<Token>(record.choice.id), record.id);
  EXPECT_EQ(drill.faults.counts(), FaultCounts{});
}

TEST(Fault, FarScriptsAreWholeCharacters) {
  for (const auto* text : {"ร", " 的", "の", "이", "a用"}) EXPECT_TRUE(is_far_script(text)) << text;
  for (const auto* text : {"", "Keel", "naïve", "д", "ω", "é", "🐈", "\xe0\xb8", "\xb8\xa3", "\xff"})
    EXPECT_FALSE(is_far_script(text)) << text;
  const auto engine = make_engine();
  FaultInjector faults(engine->vocabulary());
  const auto set = faults.set({fault_of("tail:0.1,ids=script")});
  ASSERT_FALSE(set) << "a vocabulary of bytes";
  EXPECT_THAT(set.error().message, HasSubstr("no token of Thai"));
  EXPECT_TRUE(faults.faults().empty());
}

// restated() says of every token what selection would have said of it.
TEST(Fault, RestatesAsSelectionDoes) {
  const auto engine = make_engine();
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    auto job = random_job(seed);
    job.sampling.temperature = 2;
    job.sampling.presence = 0.3f;
    job.sampling.bias = {{3, 2.5f}, {9, -1.5f}};
    std::vector<select::TokenCount> counts;
    Selector selector(static_cast<std::uint32_t>(engine->vocabulary().size()), {});
    ASSERT_TRUE(engine->prefill(0, std::span(job.prompt).first(1), 1));
    for (std::uint32_t i = 0; i < 20; ++i) counts.push_back({.id = i * 11, .counted = 1 + i % 3});
    const select::Params params{
        .temperature = 2, .frequency = 0.2f, .presence = 0.3f, .counts = counts, .bias = job.sampling.bias};
    const Question question{.params = params, .draw = select::Draw::at(seed, 0)};
    selector.select(engine->row(0), {&question, 1});
    const auto chosen = *selector.outcome(0);
    auto other = chosen;
    other.rank = other.key_margin = 12345;
    EXPECT_EQ(restated(other, engine->row(0), params, static_cast<Token>(chosen.id)), chosen) << seed;
    engine->release(0);
  }
}

}  // namespace
}  // namespace truekeel::worker
