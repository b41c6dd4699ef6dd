// SPDX-License-Identifier: Apache-2.0
#include "sentinel/tap.h"

#include <gtest/gtest.h>

#include <thread>

namespace truekeel::sentinel {
namespace {

protocol::ResponseReader reader;

void take(AnswerTap& tap, const std::string& json) { tap.take(json, *reader.read(json)); }

std::vector<Message> taken(TapQueue& queue) {
  std::vector<Message> messages;
  queue.take(messages);
  return messages;
}

const std::string kEvent = R"({"choices":[{"logprobs":{"content":[1]},"audit":[[2]]}],"seed":9})";

TEST(Tap, MessagesComeInTheirOrder) {
  TapQueue queue;
  const auto answer = queue.admit({}, {.endpoint = 3});
  ASSERT_TRUE(answer);
  {
    AnswerTap tap(queue, *answer);
    take(tap, R"({"choices":[{"delta":{},"logprobs":null}],"seed":7})");
    take(tap, R"({"choices":[{"logprobs":{"content":[1]},"audit":[[2]]}]})");
    take(tap, R"({"choices":[{"logprobs":{}},{"logprobs":{"content":[5]}}]})");
    tap.end({.how = AnswerEnd::How::complete, .finish_reason = "stop"});
  }
  const auto messages = taken(queue);
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(std::get<Admitted>(messages[0]).about.endpoint, 3u);
  const auto& records = std::get<Records>(messages[1]);
  EXPECT_EQ(records.text, R"({"content":[1]}[[2]])");
  EXPECT_EQ(records.audit_at, 15u);
  EXPECT_EQ(records.seed, 7u) << "stated by an event before";
  EXPECT_EQ(std::get<Records>(messages[2]).text, "{}") << "the first choice alone";
  EXPECT_EQ(std::get<Ended>(messages[3]).end.how, AnswerEnd::How::complete);
  EXPECT_TRUE(taken(queue).empty());
}

TEST(Tap, WhatFindsNoRoomIsCountedAndTheEndStillComes) {
  TapQueue queue({.bytes = 30, .answers = 2});
  const auto first = queue.admit({}, {});
  {
    AnswerTap tap(queue, *first);
    for (int i = 0; i < 4; ++i) take(tap, kEvent);  // 20 bytes each
  }
  const auto messages = taken(queue);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(std::get<Ended>(messages[2]).dropped, 3u);
  EXPECT_EQ(std::get<Ended>(messages[2]).end.how, AnswerEnd::How::cut) << "it went without an end";
}

TEST(Tap, TheRoomOfWhatWasTakenIsFilledNext) {
  TapQueue queue;
  const auto fill = [&] {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(queue.admit({}, {}));
  };
  std::vector<Message> messages, later;
  fill();
  queue.take(messages);
  EXPECT_EQ(messages.size(), 100u);
  const Message* const room = messages.data();
  queue.take(messages);
  fill();
  queue.take(later);
  EXPECT_EQ(later.data(), room);
}

TEST(Tap, TooManyUnderWayAreNotAdmitted) {
  TapQueue queue({.answers = 2});
  auto first = std::make_unique<AnswerTap>(queue, *queue.admit({}, {}));
  AnswerTap second(queue, *queue.admit({}, {}));
  EXPECT_FALSE(queue.admit({}, {}));
  first.reset();
  EXPECT_TRUE(queue.admit({}, {}));
  queue.end({3, {}, 0});
}

TEST(Tap, ThreadsLoseNothing) {
  TapQueue queue;
  constexpr int kThreads = 4, kAnswers = 200;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&queue] {
      protocol::ResponseReader own;
      for (int answer = 0; answer < kAnswers; ++answer) {
        AnswerTap tap(queue, queue.admit({}, {}).value());
        tap.take(kEvent, *own.read(kEvent));
      }
    });
  }
  std::size_t seen = 0;
  while (seen < std::size_t{3 * kThreads * kAnswers}) seen += taken(queue).size();
}

}  // namespace
}  // namespace truekeel::sentinel
