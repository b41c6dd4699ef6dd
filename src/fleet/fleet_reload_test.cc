// SPDX-License-Identifier: Apache-2.0
// Configurations that change while requests are under way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "fleet/config_change.h"
#include "fleet/fleet.h"
#include "fleet/test_config.h"

namespace truekeel::fleet {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

AffinityKey key(std::uint64_t n) { return {n * 0x9E3779B97F4A7C15u, AffinitySource::user}; }

class ReloadTest : public testing::Test {
 protected:
  ReloadTest() { prove_all(); }

  void prove_all() {
    for (const auto id : fleet_.endpoints()) fleet_.on_probe(id, ProbeResult::token, now_);
  }
  std::shared_ptr<Config> copy() const { return std::make_shared<Config>(*fleet_.config()); }
  void replace(Config config) { fleet_.replace(std::make_shared<const Config>(std::move(config)), now_); }
  EndpointId id(std::string_view name) const { return fleet_.find(name).value(); }
  ContextPlan plan(std::uint64_t tokens = 5) const {
    return plan_context(fleet_.config()->models[0], TokenRange::exactly(tokens), 100);
  }
  std::string first(std::uint64_t n) const {
    const auto decision = fleet_.route(plan(), key(n), now_);
    return decision ? decision->order.front().config->name : decision.error().message;
  }

  Instant now_ = Instant{} + seconds(1);
  std::shared_ptr<const Config> config_ = std::make_shared<const Config>(test_config());
  Fleet fleet_{config_, AffinitySecret("s"), now_};
};

TEST_F(ReloadTest, WhoStaysKeepsAllThatIsKnown) {
  ASSERT_TRUE(fleet_.begin(id("s2")) && fleet_.drain("s1"));
  EXPECT_EQ(fleet_.unstick("short"), 1u);
  const auto s2 = id("s2");
  auto config = *config_;
  config.pools[0].endpoints[1].weight_milli = 2000;
  config.pools[0].endpoints[1].labels["version"] = "v2";
  replace(config);
  EXPECT_EQ(id("s2"), s2);
  const auto view = fleet_.view(s2, now_);
  EXPECT_EQ(view.state, HealthState::ready);
  EXPECT_EQ(view.in_flight, 1u);
  EXPECT_EQ(view.config->weight_milli, 2000u);
  EXPECT_TRUE(fleet_.view(id("s1"), now_).drained);
  EXPECT_EQ(fleet_.epoch(0), 1u);
  fleet_.end(s2, Outcome::success, key(0), now_);
}

TEST_F(ReloadTest, NumbersAreNeverUsedAgain) {
  const auto s3 = id("s3"), l2 = id("l2");
  auto config = *config_;
  for (auto& pool : config.pools) pool.endpoints.pop_back();
  replace(config);
  EXPECT_EQ(fleet_.find("s3"), std::nullopt);
  replace(*config_);
  EXPECT_EQ(id("s3"), 5u);
  EXPECT_EQ(id("l2"), 6u) << "not the last one's either";
  EXPECT_FALSE(fleet_.has(s3) || fleet_.has(l2));
  EXPECT_EQ(fleet_.view(5, now_).state, HealthState::starting) << "nobody knows what it was meanwhile";
}

TEST_F(ReloadTest, AnotherServerOfTheSameNameIsStrangeButStaysDrained) {
  ASSERT_TRUE(fleet_.drain("s1"));
  const auto before = id("s1");
  auto config = *config_;
  config.pools[0].endpoints[0].url.port = 4444;
  config.pools[0].endpoints[1].engine = EngineKind::vllm;
  replace(config);
  EXPECT_NE(id("s1"), before);
  EXPECT_EQ(fleet_.view(id("s1"), now_).state, HealthState::starting);
  EXPECT_TRUE(fleet_.view(id("s1"), now_).drained) << "a reload undoes no drain";
  EXPECT_NE(id("s2"), 1u);
  EXPECT_FALSE(fleet_.view(id("s2"), now_).drained);
}

TEST_F(ReloadTest, AnotherModelThereOrAnotherPoolMakesItAnotherServer) {
  auto config = *config_;
  config.pools[0].endpoints[0].upstream_model = "other";
  config.pools[1].endpoints.push_back(config.pools[0].endpoints[1]);
  config.pools[0].endpoints.erase(config.pools[0].endpoints.begin() + 1);
  replace(config);
  EXPECT_EQ(id("s1"), 5u);
  EXPECT_EQ(id("s2"), 6u) << "its window may be another";
  EXPECT_EQ(id("s3"), 2u);
}

TEST_F(ReloadTest, WhatIsRemovedGetsNothingAndEndsWithItsLastCall) {
  const auto s1 = id("s1");
  const auto decision = fleet_.route(plan(), key(1), now_);
  ASSERT_TRUE(fleet_.begin(s1) && fleet_.begin(s1));
  auto config = *config_;
  config.pools[0].endpoints.erase(config.pools[0].endpoints.begin());
  replace(config);
  EXPECT_FALSE(fleet_.begin(s1)) << "not even of a decision that was taken before";
  EXPECT_EQ(decision->config, config_) << "which lives as long as it is needed";
  for (int n = 0; n < 100; ++n) EXPECT_NE(first(n), "s1");
  EXPECT_EQ(fleet_.take_due_probes(now_ + seconds(60)).size(), 4u);
  fleet_.on_probe(s1, ProbeResult::failed, now_);
  fleet_.end(s1, Outcome::success, key(0), now_);
  EXPECT_TRUE(fleet_.has(s1));
  EXPECT_EQ(fleet_.view(s1, now_).pool->name, "short");
  fleet_.end(s1, Outcome::server_error, key(0), now_);
  EXPECT_FALSE(fleet_.has(s1));
  fleet_.on_probe(s1, ProbeResult::token, now_);
}

TEST_F(ReloadTest, OnlyTheSessionsOfWhatIsRemovedMove) {
  std::vector<std::string> before;
  before.reserve(300);
  for (int n = 0; n < 300; ++n) before.push_back(first(n));
  auto config = *config_;
  config.pools[0].endpoints.erase(config.pools[0].endpoints.begin() + 1);
  replace(config);
  for (int n = 0; n < 300; ++n) {
    if (before[n] != "s2") EXPECT_EQ(first(n), before[n]);
  }
}

TEST_F(ReloadTest, APlanOfBeforeIsMadeAnew) {
  const auto old_plan = plan(1500);
  auto config = *config_;
  config.models[0].classes[0].max_tokens = 1000;
  replace(config);
  const auto decision = fleet_.route(old_plan, key(0), now_);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->class_index, 1u) << "never a smaller window than it needs now";
  EXPECT_EQ(decision->model, &fleet_.config()->models[0]);
  config.models[0].name = "other";
  replace(config);
  EXPECT_EQ(fleet_.route(old_plan, key(0), now_).error().kind, RefusalKind::model_not_found);
}

class QueuedReloadTest : public ReloadTest {
 protected:
  /// One call at each short server, one that waits.
  Ticket fill_and_wait() {
    auto config = *config_;
    config.pools[0].load.max_in_flight = 1;
    replace(config);
    while (fleet_.place(plan(), key(0), now_)) {
    }
    return fleet_.wait(plan(), key(1), [] {}, now_).value().ticket;
  }
};

TEST_F(QueuedReloadTest, WhoWaitsGoesOnToWait) {
  const Ticket ticket = fill_and_wait();
  replace(*copy());
  EXPECT_EQ(fleet_.queue(0, now_).waiting, 1u);
  EXPECT_THAT(fleet_.take_woken(), IsEmpty());
  fleet_.end(id("s3"), Outcome::success, key(0), now_);
  const auto placed = fleet_.leave(ticket);
  ASSERT_TRUE(placed && *placed);
  EXPECT_EQ((*placed)->order.front().endpoint, id("s3"));
}

TEST_F(QueuedReloadTest, MoreRoomIsGivenOutAtOnce) {
  const Ticket ticket = fill_and_wait();
  auto config = *copy();
  config.pools[0].load.max_in_flight = 2;
  replace(config);
  EXPECT_EQ(fleet_.take_woken().size(), 1u);
  EXPECT_TRUE(fleet_.leave(ticket)->has_value());
}

TEST_F(QueuedReloadTest, AShorterQueueAndAModelThatIsGoneAreTold) {
  const Ticket first_waits = fill_and_wait();
  const Ticket second = fleet_.wait(plan(), key(2), [] {}, now_).value().ticket;
  auto config = *copy();
  config.pools[0].load.queue_max = 1;
  replace(config);
  EXPECT_EQ(fleet_.queue(0, now_).waiting, 1u);
  EXPECT_EQ(fleet_.leave(second)->error().kind, RefusalKind::overloaded) << "who came last goes first";
  config.models[0].name = "other";
  replace(config);
  EXPECT_EQ(fleet_.leave(first_waits)->error().kind, RefusalKind::model_not_found);
}

TEST(ConfigChangeTest, TakesModelsAndPoolsAndNamesTheRest) {
  const auto running = test_config();
  auto wanted = test_config({"s1"}, {"l1", "l9"});
  wanted.models[0].default_max_output = 7;
  EXPECT_THAT(change_to(running, wanted).needs_restart, IsEmpty());
  EXPECT_EQ(*change_to(running, wanted).config, wanted);

  wanted.listen.port = 1;
  wanted.store.keep_days = 3;
  wanted.limits.drain = seconds(1);
  const auto change = change_to(running, wanted);
  EXPECT_THAT(change.needs_restart, ElementsAre("listen", "limits", "store or keep_days"));
  EXPECT_EQ(change.config->listen, running.listen);
  EXPECT_EQ(change.config->limits, running.limits);
  EXPECT_EQ(change.config->pools, wanted.pools);
}

}  // namespace
}  // namespace truekeel::fleet
