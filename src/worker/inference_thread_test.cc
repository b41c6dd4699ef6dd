// SPDX-License-Identifier: Apache-2.0
// The thread, its queue and the mailbox together, on the synthetic engine.
#include "worker/inference_thread.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "engine/synthetic_engine.h"
#include "worker/mailbox.h"
#include "worker/test_jobs.h"

namespace truekeel::worker {
namespace {

std::unique_ptr<engine::Engine> make_engine(std::uint32_t slots) {
  return engine::make_synthetic_engine({.seed = 3, .ctx = 4000, .slots = slots, .ubatch = 32});
}

std::unique_ptr<Job> make_job(Job job, std::shared_ptr<Sink> sink) {
  job.sink = std::move(sink);
  return std::make_unique<Job>(std::move(job));
}

/// What one mailbox got, read to its end.
struct Read {
  std::vector<Token> tokens;
  std::string text;
  std::optional<Ending> ending;
};

http::Task<void> read_all(std::shared_ptr<Mailbox> mailbox, Read& read) {
  while (!read.ending) {
    for (auto& delivery : co_await mailbox->take()) {
      read.text += delivery.text;
      if (delivery.ending) {
        read.ending = delivery.ending;
      } else {
        read.tokens.push_back(delivery.record.id);
      }
    }
  }
}

TEST(InferenceThread, DeliversWhatTheSchedulerWould) {
  boost::asio::io_context context(1);
  const auto engine = make_engine(3), other = make_engine(3);
  InferenceThread inference(*engine, 3, 64);
  std::vector<Read> reads(20);
  for (std::uint64_t seed = 0; seed < reads.size(); ++seed) {
    const auto mailbox = std::make_shared<Mailbox>(context);
    ASSERT_TRUE(inference.submit(make_job(random_job(seed, 200, 800), mailbox->sink(0))));
    boost::asio::co_spawn(context, read_all(mailbox, reads[seed]), boost::asio::detached);
  }
  context.run();
  std::uint64_t tokens = 0;
  for (std::uint64_t seed = 0; seed < reads.size(); ++seed) {
    const auto alone = run_alone(*other, random_job(seed, 200, 800));
    EXPECT_EQ(reads[seed].tokens, alone->tokens()) << "seed " << seed;
    EXPECT_EQ(reads[seed].text, alone->text) << "seed " << seed;
    tokens += reads[seed].tokens.size();
  }
  EXPECT_EQ(inference.counters().completion_tokens, tokens);
}

/// One slot, which an answer holds that nobody reads; two more may wait.
class OccupiedSlot : public testing::Test {
 protected:
  OccupiedSlot() {
    endless.max_tokens = 3000;
    endless.ignore_end = true;
    running->room = 1;
    EXPECT_TRUE(inference.submit(make_job(endless, running)));
    while (inference.counters().busy_slots == 0) std::this_thread::yield();
  }

  const std::unique_ptr<engine::Engine> engine = make_engine(1);
  InferenceThread inference{*engine, 1, 2};
  Job endless = random_job(1);
  const std::shared_ptr<KeptAnswer> running = std::make_shared<KeptAnswer>();
};

TEST_F(OccupiedSlot, AFullQueueRefuses) {
  const auto waiting = std::make_shared<KeptAnswer>();
  EXPECT_TRUE(inference.submit(make_job(endless, waiting)));
  EXPECT_TRUE(inference.submit(make_job(endless, waiting)));
  EXPECT_FALSE(inference.submit(make_job(endless, waiting)));
  EXPECT_EQ(inference.counters().waiting, 2u);
}

TEST_F(OccupiedSlot, ALateJobLeavesTheQueue) {
  boost::asio::io_context context(1);
  const auto mailbox = std::make_shared<Mailbox>(context);
  endless.deadline = std::chrono::steady_clock::now();
  ASSERT_TRUE(inference.submit(make_job(endless, mailbox->sink(0))));
  Read read;
  boost::asio::co_spawn(context, read_all(mailbox, read), boost::asio::detached);
  context.run();
  ASSERT_TRUE(read.ending);
  EXPECT_EQ(read.ending->error, deadline_passed());
  EXPECT_TRUE(read.tokens.empty());
  EXPECT_EQ(inference.counters().waiting, 0u);
}

TEST(InferenceThread, EveryJobEndsWhenTheThreadDoes) {
  const auto engine = make_engine(1);
  const auto running = std::make_shared<KeptAnswer>(), waiting = std::make_shared<KeptAnswer>();
  {
    InferenceThread inference(*engine, 1, 2);
    running->room = 0;
    auto job = random_job(1);
    job.max_tokens = 3000;
    job.ignore_end = true;
    ASSERT_TRUE(inference.submit(make_job(job, running)));
    ASSERT_TRUE(inference.submit(make_job(job, waiting)));
  }
  for (const auto& answer : {running, waiting}) {
    ASSERT_EQ(answer->endings.size(), 1u);
    EXPECT_EQ(answer->endings.front().error.code, ErrorCode::unavailable);
  }
}

TEST(Mailbox, ASlowReaderPausesItsJobAndAClosedOneEndsIt) {
  boost::asio::io_context context(1);
  const auto mailbox = std::make_shared<Mailbox>(context);
  const auto sink = mailbox->sink(0);
  for (std::size_t i = 0; i < Mailbox::kBound; ++i) {
    EXPECT_TRUE(sink->has_room());
    sink->token({}, "x");
  }
  EXPECT_FALSE(sink->has_room());
  std::size_t taken = 0;
  boost::asio::co_spawn(
      context,
      [](Mailbox& from, std::size_t& count) -> http::Task<void> {
        count = (co_await from.take()).size();
        count += (co_await from.take()).size();
      }(*mailbox, taken),
      boost::asio::detached);
  context.run_for(std::chrono::milliseconds(1));
  EXPECT_EQ(taken, Mailbox::kBound);
  EXPECT_TRUE(sink->has_room());
  EXPECT_TRUE(sink->wanted());
  mailbox->close();
  context.restart();
  context.run();
  EXPECT_FALSE(sink->wanted());
  EXPECT_EQ(taken, Mailbox::kBound);
}

}  // namespace
}  // namespace truekeel::worker
