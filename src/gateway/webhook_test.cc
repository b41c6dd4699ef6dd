// SPDX-License-Identifier: Apache-2.0
// The webhook in a simulated world, whose clock makes an hour of waiting a matter of milliseconds.
#include "gateway/webhook.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "http/server.h"
#include "http/sim_net.h"

namespace truekeel::gateway {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

class WebhookTest : public testing::Test {
 protected:
  struct Taken {
    std::string id, body;
    Instant at{};
  };

  http::Task<void> receive(http::Exchange& exchange) {
    const auto& headers = exchange.request().headers;
    const auto stamp = std::stoll(std::string(headers.find("webhook-timestamp").value_or("0")));
    const std::string id(headers.find("webhook-id").value_or(""));
    EXPECT_EQ(headers.find("webhook-signature").value_or(""), key_.sign(id, stamp, exchange.body()));
    calls_.push_back({id, exchange.body(), world_.now()});
    const bool refused = refusals_ != 0;
    if (refused && refusals_ > 0) --refusals_;
    co_await exchange.respond(refused ? 503 : 204, {}, "");
  }
  void run(Duration time) { world_.run(world_.now() + time); }
  std::vector<std::string> ids() const {
    std::vector<std::string> found;
    for (const auto& call : calls_) found.push_back(call.id);
    return found;
  }

  const WebhookKey key_ = WebhookKey::parse("correct horse").value();
  http::SimWorld world_{1};
  EventRing events_{4};
  http::Server server_{
      world_.host("hook"), {}, [this](http::Exchange& exchange) { return receive(exchange); }};
  Webhook webhook_{world_.host("gateway"), events_, {{"hook", 80}, "/in"}, key_, {.attempts = 5}};
  std::vector<Taken> calls_;
  int refusals_ = 0;  // calls to refuse; below 0: all
};

TEST_F(WebhookTest, TriesAgainWithTheSameIdUntilItIsTaken) {
  ASSERT_TRUE(server_.listen({"", 80}));
  http::spawn(world_.host("gateway"), webhook_.run());
  refusals_ = 2;
  events_.publish("incident.opened", "e1", R"({"id":"inc-1"})");
  run(seconds(60));
  EXPECT_THAT(ids(), ElementsAre("e1", "e1", "e1"));
  EXPECT_THAT(calls_.back().body, HasSubstr(R"("type":"incident.opened")"));
  EXPECT_EQ(calls_[0].body, calls_[2].body) << "the same event, not another one with its id";
  EXPECT_EQ(webhook_.counts().delivered, 1u);
  EXPECT_EQ(webhook_.counts().given_up, 0u);
}

TEST_F(WebhookTest, GivesUpAfterItsAttemptsAndGoesOnWithTheNext) {
  ASSERT_TRUE(server_.listen({"", 80}));
  http::spawn(world_.host("gateway"), webhook_.run());
  refusals_ = 5;
  events_.publish("incident.opened", "e1", "{}");
  events_.publish("incident.status", "e2", "{}");
  run(seconds(120));
  EXPECT_THAT(ids(), ElementsAre("e1", "e1", "e1", "e1", "e1", "e2"));
  for (std::size_t i = 1; i < 5; ++i) {
    const Duration waited = calls_[i].at - calls_[i - 1].at, wanted = seconds(1 << (i - 1));
    EXPECT_GE(waited, wanted) << "the waits double";
    EXPECT_LT(waited, wanted + seconds(1));
  }
  EXPECT_EQ(webhook_.counts().given_up, 1u);
  EXPECT_EQ(webhook_.counts().delivered, 1u);
  EXPECT_THAT(webhook_.metrics_text(), HasSubstr("{end=\"given_up\"} 1\n"));
}

TEST_F(WebhookTest, WhatWaitedTooLongBehindADeadReceiverIsCountedAsMissed) {
  http::spawn(world_.host("gateway"), webhook_.run());
  events_.publish("incident.opened", "e0", "{}");
  run(seconds(1));  // under way, and nobody listens
  for (int i = 1; i <= 6; ++i) events_.publish("incident.status", "e" + std::to_string(i), "{}");
  ASSERT_TRUE(server_.listen({"", 80}));
  run(seconds(120));
  EXPECT_THAT(ids(), ElementsAre("e0", "e3", "e4", "e5", "e6")) << "the ring holds four";
  EXPECT_EQ(webhook_.counts().missed, 2u);
  EXPECT_EQ(webhook_.counts().delivered, 5u);
}

}  // namespace
}  // namespace truekeel::gateway
