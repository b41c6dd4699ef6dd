// SPDX-License-Identifier: Apache-2.0
// Laws of the scheduler, on the synthetic engine.
#include "worker/scheduler.h"

#include <gtest/gtest.h>

#include <deque>
#include <tuple>

#include "engine/synthetic_engine.h"
#include "worker/test_jobs.h"

namespace truekeel::worker {
namespace {

using engine::Slot;

std::unique_ptr<engine::Engine> make_engine(std::uint32_t slots = 4, float end_bias = 0) {
  return engine::make_synthetic_engine(
      {.seed = 7, .end_bias = end_bias, .ctx = 400, .slots = slots, .ubatch = 32});
}

/// Passes calls on, keeps what they were, and fails when told to.
class WatchedEngine final : public engine::Engine {
 public:
  struct Call {
    bool prefill;
    std::size_t size;
    Slot slot;
    bool operator==(const Call&) const = default;
  };
  std::vector<Call> calls;
  bool fails = false;

  explicit WatchedEngine(std::unique_ptr<engine::Engine> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] const engine::EngineInfo& info() const override { return inner_->info(); }
  [[nodiscard]] const engine::Vocabulary& vocabulary() const override { return inner_->vocabulary(); }
  Result<void> prefill(Slot slot, std::span<const Token> piece, std::size_t rows) override {
    calls.push_back({true, piece.size(), slot});
    return inner_->prefill(slot, piece, rows);
  }
  Result<void> decode(std::span<const engine::SlotToken> step) override {
    calls.push_back({false, step.size(), step.front().slot});
    if (fails) return fail(ErrorCode::internal, "broken on purpose");
    return inner_->decode(step);
  }
  [[nodiscard]] std::span<const float> logits() const override { return inner_->logits(); }
  void release(Slot slot) override { inner_->release(slot); }
  [[nodiscard]] std::uint32_t length(Slot slot) const override { return inner_->length(slot); }

 private:
  const std::unique_ptr<engine::Engine> inner_;
};

// The law that makes an answer worth replaying: equal jobs give equal results alone, beside any others, in
// any order of arrival, for every width of a step.
TEST(Scheduler, AJobGetsTheSameBesideAnyOthers) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    PhiloxStream random(seed);
    const auto engine = make_engine(1 + static_cast<std::uint32_t>(random.below(8)));
    std::deque<std::uint64_t> waiting;
    for (std::uint64_t i = 0; i < 12; ++i) waiting.push_back(random.below(1000));
    std::vector<std::pair<std::uint64_t, std::shared_ptr<KeptAnswer>>> answers;

    Scheduler scheduler(*engine, 1 + static_cast<std::uint32_t>(random.below(8)));
    while (true) {
      while (scheduler.has_free_slot() && !waiting.empty() && random.below(3) > 0) {
        answers.emplace_back(waiting.front(), admit(scheduler, random_job(waiting.front())));
        waiting.pop_front();
      }
      for (auto& [id, answer] : answers) answer->room = random.below(2) == 0 ? 0 : SIZE_MAX;
      if (!scheduler.step().worked() && waiting.empty() && scheduler.busy() == 0) break;
    }
    for (const auto& [id, answer] : answers) {
      const auto alone = run_alone(*engine, random_job(id));
      EXPECT_TRUE(answer->records == alone->records && answer->text == alone->text)
          << "seed " << seed << ", job " << id;
    }
  }
}

TEST(Scheduler, AJobGetsTheSameOverAnyShards) {
  const auto engine = make_engine();
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const auto whole = run_alone(*engine, random_job(seed));
    for (const std::uint32_t shards : {2, 8}) {
      const auto sharded = run_alone(*engine, random_job(seed), {.shards = shards});
      EXPECT_EQ(sharded->records, whole->records) << "seed " << seed << ", shards " << shards;
    }
  }
}

TEST(Scheduler, EveryTokenHasItsRecordAndEveryJobOneEnding) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const auto engine = make_engine(1, 8);  // ends often
    auto job = random_job(seed);
    const auto prompt_tokens = job.prompt.size();
    const auto max_tokens = job.max_tokens;
    const auto answer = run_alone(*engine, std::move(job));
    ASSERT_EQ(answer->endings.size(), 1u) << "seed " << seed;
    const auto& ending = answer->endings.front();
    EXPECT_EQ(ending.completion_tokens, answer->records.size());
    EXPECT_EQ(ending.prompt_tokens, prompt_tokens);
    const bool is_end = engine->vocabulary().is_end(answer->records.back().id);
    EXPECT_EQ(ending.finish == Finish::stop, is_end) << "seed " << seed;
    EXPECT_TRUE(is_end || answer->records.size() == max_tokens) << "seed " << seed;
    EXPECT_EQ(engine->length(0), 0u) << "the slot was not emptied";
  }
}

TEST(Scheduler, ALeaverFreesItsSlotWithinOneStep) {
  const auto engine = make_engine(2);
  Scheduler scheduler(*engine, 2);
  auto leaver = random_job(1), stayer = random_job(2);
  leaver.max_tokens = stayer.max_tokens = 100;
  const auto left = admit(scheduler, leaver), stays = admit(scheduler, stayer);
  for (int i = 0; i < 20; ++i) (void)scheduler.step();
  ASSERT_FALSE(scheduler.has_free_slot());
  left->is_wanted = false;
  const auto records = left->records.size();
  EXPECT_EQ(scheduler.step().released, 1u);
  EXPECT_TRUE(scheduler.has_free_slot());
  EXPECT_EQ(left->records.size(), records);
  EXPECT_FALSE(left->ended());
  EXPECT_FALSE(stays->ended());
}

TEST(Scheduler, ALeaverInItsPromptFreesItsSlotToo) {
  const auto engine = make_engine(2);
  Scheduler scheduler(*engine, 2);
  auto job = random_job(1);
  job.prompt.assign(300, 1);
  const auto left = admit(scheduler, job), stays = admit(scheduler, random_job(2));
  (void)scheduler.step();
  left->is_wanted = false;
  run(scheduler);
  EXPECT_TRUE(stays->ended());
  EXPECT_EQ(scheduler.busy(), 0u);
}

TEST(Scheduler, PromptsAreCutAlikeAndAlternateWithAnswers) {
  WatchedEngine engine(make_engine(2));
  Scheduler scheduler(engine, 2);
  auto running = random_job(1), lengthy = random_job(2);
  running.prompt.resize(1);
  running.max_tokens = 50;
  running.ignore_end = true;
  lengthy.prompt.assign(70, 9);
  lengthy.max_tokens = 1;
  (void)admit(scheduler, running);
  (void)scheduler.step();
  engine.calls.clear();
  (void)admit(scheduler, lengthy);
  for (int i = 0; i < 3; ++i) (void)scheduler.step();
  EXPECT_EQ(engine.calls,
            (std::vector<WatchedEngine::Call>{
                {true, 32, 1}, {false, 1, 0}, {true, 32, 1}, {false, 1, 0}, {true, 6, 1}, {false, 1, 0}}));
}

TEST(Scheduler, AStepIsNeverWiderThanAllowed) {
  WatchedEngine engine(make_engine(4));
  Scheduler scheduler(engine, 3);
  for (std::uint64_t seed = 0; seed < 4; ++seed) (void)admit(scheduler, random_job(seed, 5, 30));
  run(scheduler);
  std::size_t widest = 0;
  for (const auto& call : engine.calls) widest = std::max(widest, call.prefill ? 0 : call.size);
  EXPECT_EQ(widest, 3u);
}

TEST(Scheduler, AStopStringEndsTheAnswerAndKeepsItsRecords) {
  const auto engine = make_engine(1);
  auto job = random_job(3, 20);
  job.max_tokens = 60;
  job.ignore_end = true;
  const auto whole = run_alone(*engine, job);
  ASSERT_GT(whole->text.size(), 40u);
  job.stop = {whole->text.substr(25, 4)};
  const auto end = whole->text.find(job.stop.front());
  const auto stopped = run_alone(*engine, job);
  EXPECT_EQ(stopped->text, whole->text.substr(0, end));
  EXPECT_EQ(stopped->endings.front().finish, Finish::stop);
  EXPECT_EQ(stopped->endings.front().completion_tokens, stopped->records.size());
  // The records go on to the token that completed the stop string.
  std::string shown;
  for (const auto token : stopped->tokens()) shown += engine->vocabulary().piece(token);
  EXPECT_NE(shown.find(job.stop.front()), std::string::npos);
}

TEST(Scheduler, AFailureEndsTheJobsOfItsStepAndNoOthers) {
  WatchedEngine engine(make_engine(2));
  Scheduler scheduler(engine, 2);
  auto job = random_job(1, 5);
  job.max_tokens = 50;
  job.ignore_end = true;
  const auto broken = admit(scheduler, job);
  (void)scheduler.step();
  engine.fails = true;
  (void)scheduler.step();
  ASSERT_TRUE(broken->ended());
  EXPECT_EQ(broken->endings.front().error.message, "broken on purpose");
  engine.fails = false;
  const auto next = admit(scheduler, job);
  run(scheduler);
  EXPECT_EQ(next->records, run_alone(engine, job)->records);
}

TEST(Scheduler, AJobsFailureSaysTheSameBesideAnyOthers) {
  auto job = random_job(1, 5);
  job.max_tokens = 50;
  job.ignore_end = true;
  job.sampling.presence = job.sampling.frequency = -3e38f;  // together +inf, once a token is counted
  const auto alone = run_alone(*make_engine(), job)->endings.front();
  const auto engine = make_engine();
  Scheduler scheduler(*engine, 4);
  for (std::uint64_t seed = 2; seed < 5; ++seed) {
    auto other = random_job(seed, 5);
    other.max_tokens = 50;
    other.ignore_end = true;
    (void)admit(scheduler, other);
  }
  const auto beside = admit(scheduler, job);
  run(scheduler);
  EXPECT_EQ(beside->endings.front().finish, Finish::failed);
  EXPECT_EQ(beside->endings.front().completion_tokens, 1u);
  EXPECT_EQ(beside->endings.front().error.message, alone.error.message);
}

TEST(Scheduler, ScoresATextAsItWouldHaveBeenSampled) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto engine = make_engine(2);
    auto job = random_job(seed, 100, 200);
    job.sampling.frequency = 0;
    job.logprobs = true;
    job.top = 20;
    const auto sampled = run_alone(*engine, job);
    job.mode = Mode::score;
    job.given = sampled->tokens();
    job.max_tokens = static_cast<std::uint32_t>(job.given.size());
    const auto scored = run_alone(*engine, job);
    const auto same_place = [](const TokenRecord& a, const TokenRecord& b) {
      return std::tie(a.id, a.position, a.logprob, a.rank, a.top) ==
             std::tie(b.id, b.position, b.logprob, b.rank, b.top);
    };
    EXPECT_TRUE(std::ranges::equal(scored->records, sampled->records, same_place)) << "seed " << seed;
    EXPECT_EQ(scored->text, "");
    EXPECT_EQ(scored->endings.front().finish, Finish::length);
  }
}

Job replay_of(Job job, Mode mode, std::vector<Token> tokens) {
  job.mode = mode;
  job.given = std::move(tokens);
  job.max_tokens = static_cast<std::uint32_t>(job.given.size());
  return job;
}

/// Positions where the replay chose another token.
std::vector<std::uint32_t> differences(const KeptAnswer& replay) {
  std::vector<std::uint32_t> positions;
  for (const auto& record : replay.records) {
    if (record.choice.id != static_cast<std::uint32_t>(record.id)) positions.push_back(record.position);
  }
  return positions;
}

// The synthetic engine has the same bits on both paths, so fast replays must be exact too.
TEST(Scheduler, AReplayChoosesEveryTokenAgain) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto engine = make_engine(2, 8);
    const auto answer = run_alone(*engine, random_job(seed, 100, 200));
    for (const auto mode : {Mode::replay_exact, Mode::replay_fast}) {
      const auto replay = run_alone(*engine, replay_of(random_job(seed, 100), mode, answer->tokens()));
      EXPECT_EQ(replay->tokens(), answer->tokens()) << "seed " << seed;
      EXPECT_EQ(differences(*replay), std::vector<std::uint32_t>()) << "seed " << seed;
      EXPECT_EQ(replay->text, "");
      for (std::size_t i = 0; i < replay->records.size(); ++i) {
        EXPECT_EQ(replay->records[i].choice, answer->records[i].choice);
      }
    }
  }
}

TEST(Scheduler, AReplayFindsAnAlteredTokenWithItsDistance) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto engine = make_engine(1);
    auto job = random_job(seed, 100, 60);
    job.ignore_end = true;
    auto tokens = run_alone(*engine, job)->tokens();
    const auto place = seed % tokens.size();
    tokens[place] = (tokens[place] + 1) % 300;
    for (const auto mode : {Mode::replay_exact, Mode::replay_fast}) {
      const auto replay = run_alone(*engine, replay_of(job, mode, tokens));
      ASSERT_FALSE(differences(*replay).empty()) << "seed " << seed;
      EXPECT_EQ(differences(*replay).front(), place);
      EXPECT_TRUE(replay->records[place].distance);
      EXPECT_EQ(replay->records.size(), tokens.size()) << "goes on behind a difference, in the given context";
    }
  }
}

TEST(Scheduler, GivenTokensGoBehindPromptsThatWait) {
  WatchedEngine engine(make_engine(2));
  Scheduler scheduler(engine, 2);
  auto lengthy = random_job(1), brief = random_job(2);
  lengthy.prompt.resize(1);
  brief.prompt.assign(5, 9);
  (void)admit(scheduler, replay_of(lengthy, Mode::replay_fast, std::vector<Token>(200, 7)));
  for (int i = 0; i < 2; ++i) (void)scheduler.step();
  engine.calls.clear();
  (void)admit(scheduler, brief);
  for (int i = 0; i < 2; ++i) (void)scheduler.step();
  ASSERT_GE(engine.calls.size(), 2u);
  EXPECT_EQ(engine.calls[0], (WatchedEngine::Call{true, 32, 0}));
  EXPECT_EQ(engine.calls[1], (WatchedEngine::Call{true, 5, 1})) << "one piece of the replay, then the prompt";
}

TEST(Scheduler, GivenTokensGoInPiecesOfTheSizeThatIsSet) {
  for (const std::uint32_t size : {1, 7, 1000}) {
    WatchedEngine engine(make_engine(1));
    Scheduler scheduler(engine, 1, {}, size);
    auto job = random_job(1);
    job.prompt.assign(70, 9);
    (void)admit(scheduler, replay_of(job, Mode::replay_fast, std::vector<Token>(100, 7)));
    run(scheduler);
    std::vector<std::size_t> sizes;
    for (const auto& call : engine.calls) sizes.push_back(call.size);
    std::vector<std::size_t> wanted = {32, 32, 6};  // the prompt, whatever the size is
    for (std::size_t left = 99; left > 0; left -= wanted.back()) {
      wanted.push_back(std::min({left, std::size_t{size}, std::size_t{32}}));
    }
    EXPECT_EQ(sizes, wanted);
  }
}

TEST(Scheduler, ALateJobFailsAndFreesItsSlot) {
  const auto engine = make_engine(2);
  Scheduler scheduler(*engine, 2);
  auto hurried = random_job(1, 5), patient = random_job(2, 5);
  hurried.max_tokens = patient.max_tokens = 100;
  hurried.ignore_end = patient.ignore_end = true;
  hurried.deadline = Instant(std::chrono::seconds(5));
  const auto late = admit(scheduler, hurried), stays = admit(scheduler, patient);
  for (int i = 0; i < 10; ++i) (void)scheduler.step(Instant(std::chrono::seconds(4)));
  EXPECT_FALSE(late->ended());
  const auto step = scheduler.step(Instant(std::chrono::seconds(5)));
  EXPECT_EQ(step.released, 1u);
  EXPECT_EQ(step.failed, 0u) << "the engine is not to blame";
  ASSERT_TRUE(late->ended());
  EXPECT_EQ(late->endings.front().error.code, ErrorCode::timeout);
  EXPECT_EQ(late->endings.front().completion_tokens, late->records.size());
  EXPECT_EQ(scheduler.busy(), 1u);
  EXPECT_FALSE(stays->ended());
}

TEST(Scheduler, APenaltyCountsTheAnswersTokens) {
  const auto engine = make_engine(1);
  auto job = random_job(4, 20);
  job.sampling = {.temperature = 0, .presence = 100};
  job.max_tokens = 100;
  job.ignore_end = true;
  auto tokens = run_alone(*engine, job)->tokens();
  std::ranges::sort(tokens);
  EXPECT_EQ(std::ranges::adjacent_find(tokens), tokens.end());
  job.sampling.presence = 0;
  tokens = run_alone(*engine, job)->tokens();
  std::ranges::sort(tokens);
  EXPECT_NE(std::ranges::adjacent_find(tokens), tokens.end());
}

TEST(Scheduler, FailAllEndsEveryJob) {
  const auto engine = make_engine(3);
  Scheduler scheduler(*engine, 3);
  const auto first = admit(scheduler, random_job(1)), second = admit(scheduler, random_job(2));
  scheduler.fail_all({ErrorCode::unavailable, "closing"});
  EXPECT_EQ(first->endings.front().error.message, "closing");
  EXPECT_EQ(second->endings.front().finish, Finish::failed);
  EXPECT_EQ(scheduler.busy(), 0u);
}

}  // namespace
}  // namespace truekeel::worker
