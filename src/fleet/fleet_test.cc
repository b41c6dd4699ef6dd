// SPDX-License-Identifier: Apache-2.0
#include "fleet/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/philox.h"
#include "fleet/test_config.h"

namespace truekeel::fleet {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

AffinityKey nth_key(std::uint64_t n) { return {philox_bits(5, n, 0), AffinitySource::user}; }

class FleetTest : public testing::Test {
 protected:
  explicit FleetTest(Config config = test_config())
      : config_(std::make_shared<const Config>(std::move(config))),
        fleet_(config_, AffinitySecret("s"), now_) {
    for (const auto id : fleet_.endpoints()) fleet_.on_probe(id, ProbeResult::token, now_);
  }

  std::expected<Decision, Refusal> route(std::uint64_t tokens, std::uint64_t key = 0) const {
    return fleet_.route(plan_context(config_->models[0], TokenRange::exactly(tokens), 100), nth_key(key),
                        now_);
  }

  std::string first(std::uint64_t tokens, std::uint64_t key = 0) const {
    const auto decision = route(tokens, key);
    return decision ? decision->order.front().config->name : "refused";
  }

  EndpointId id(std::string_view name) const { return fleet_.find(name).value(); }

  /// Requests of many clients that end so; how a server gets ejected.
  void fail(std::string_view name, int count, Outcome outcome = Outcome::server_error) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(fleet_.begin(id(name)));
      fleet_.end(id(name), outcome, nth_key(i), now_);
    }
  }

  HealthState state(std::string_view name) const { return fleet_.view(id(name), now_).state; }

  Instant now_ = Instant{} + seconds(1);
  std::shared_ptr<const Config> config_;
  Fleet fleet_;
};

TEST_F(FleetTest, ShortGoesToShortAndLongToLong) {
  const auto near = route(1948);
  ASSERT_TRUE(near);
  EXPECT_EQ(near->class_index, 0u);
  EXPECT_EQ(near->order.size(), 5u) << "own pool first, then the larger one for retries";
  for (std::size_t i = 0; i < near->order.size(); ++i) EXPECT_EQ(near->order[i].overflow, i >= 3);
  const auto far = route(1949);
  ASSERT_TRUE(far);
  EXPECT_EQ(far->class_index, 1u);
  EXPECT_EQ(far->order.size(), 2u) << "never downward";
}

TEST_F(FleetTest, RefusalsSayWhatToDo) {
  const auto too_long = route(32669);
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().status, 400);
  EXPECT_EQ(too_long.error().kind, RefusalKind::context_length_exceeded);
  EXPECT_THAT(too_long.error().message,
              HasSubstr("32768 tokens, but this request needs 32769 (32669 in the prompt, 100 "));

  const auto plan = plan_context(config_->models[0], {40000, 90000}, std::nullopt);
  EXPECT_THAT(
      fleet_.route(plan, nth_key(0), now_).error().message,
      HasSubstr("at least 40512 (at least 40000 in the prompt, 512 for the answer): the answer's limit is "
                "the default"));

  const auto unknown = unknown_model(*config_, "gpt");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.message, HasSubstr("'gpt' is not served here; served are: m"));

  for (const auto* name : {"l1", "l2"}) EXPECT_TRUE(fleet_.drain(name));
  const auto nobody = route(10000);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().status, 503);
  EXPECT_THAT(nobody.error().message, HasSubstr("window of 32768"));
}

TEST_F(FleetTest, KillingAServerMovesOnlyItsSessions) {
  std::map<std::uint64_t, std::string> before;
  for (std::uint64_t key = 0; key < 1000; ++key) before[key] = first(100, key);
  fleet_.on_probe(id("s2"), ProbeResult::refused, now_);
  int moved = 0;
  for (const auto& [key, home] : before) {
    const auto now_at = first(100, key);
    if (home == "s2") {
      EXPECT_NE(now_at, "s2");
      ++moved;
    } else {
      EXPECT_EQ(now_at, home);
    }
  }
  EXPECT_NEAR(moved, 333, 75);
  fleet_.on_probe(id("s2"), ProbeResult::token, now_);
  for (const auto& [key, home] : before) EXPECT_EQ(first(100, key), home) << "it comes back";
}

TEST_F(FleetTest, AnotherReplicaAgreesWhateverItHasSeen) {
  Fleet other(config_, AffinitySecret("s"), now_ + std::chrono::hours(5));
  for (const auto i : other.endpoints()) other.on_probe(i, ProbeResult::token, now_);
  fail("s1", 2);
  for (std::uint64_t key = 0; key < 200; ++key) {
    const auto plan = plan_context(config_->models[0], TokenRange::exactly(5), 100);
    EXPECT_EQ(other.route(plan, nth_key(key), now_)->order, route(5, key)->order);
  }
}

TEST_F(FleetTest, DrainAndUnstickAreSeenAtOnce) {
  EXPECT_TRUE(fleet_.drain("s1"));
  EXPECT_FALSE(fleet_.drain("nobody"));
  for (std::uint64_t key = 0; key < 100; ++key) {
    for (const auto& candidate : route(5, key)->order) EXPECT_NE(candidate.config->name, "s1");
  }
  EXPECT_TRUE(fleet_.view(id("s1"), now_).drained);
  EXPECT_EQ(state("s1"), HealthState::ready) << "draining is no part of health";
  EXPECT_TRUE(fleet_.undrain("s1"));

  int moved = 0;
  std::vector<std::string> before;
  before.reserve(300);
  for (std::uint64_t key = 0; key < 300; ++key) before.push_back(first(5, key));
  EXPECT_EQ(fleet_.unstick("short"), 1u);
  EXPECT_EQ(fleet_.unstick("nowhere"), std::nullopt);
  for (std::uint64_t key = 0; key < 300; ++key) moved += first(5, key) != before[key];
  EXPECT_NEAR(moved, 200, 45);
  EXPECT_EQ(route(5)->order.front().epoch, 1u);
  EXPECT_EQ(route(10000)->order.front().epoch, 0u);
}

TEST_F(FleetTest, AnEmptyPoolOverflowsUpwardOnly) {
  for (const auto* name : {"s1", "s2", "s3"}) fleet_.on_probe(id(name), ProbeResult::refused, now_);
  const auto decision = route(5);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->class_index, 0u);
  EXPECT_TRUE(decision->order.front().overflow);
  EXPECT_EQ(decision->order.front().class_index, 1u);
  EXPECT_TRUE(fleet_.ready(now_));
  EXPECT_FALSE(fleet_.complete(now_));

  for (const auto* name : {"s1", "s2", "s3"}) fleet_.on_probe(id(name), ProbeResult::token, now_);
  for (const auto* name : {"l1", "l2"}) fleet_.on_probe(id(name), ProbeResult::refused, now_);
  EXPECT_FALSE(route(10000));
  EXPECT_FALSE(fleet_.ready(now_));
}

TEST_F(FleetTest, OutliersAreEjectedButNeverTheLastReadyOne) {
  fail("s1", 5);
  EXPECT_EQ(state("s1"), HealthState::ejected);
  EXPECT_EQ(fleet_.view(id("s1"), now_).ejected_for, seconds(30));
  fail("s2", 50);
  EXPECT_EQ(state("s2"), HealthState::ready) << "half of three is one";
  now_ += seconds(30);
  EXPECT_EQ(state("s1"), HealthState::probation);

  fail("l1", 5);
  EXPECT_EQ(state("l1"), HealthState::ejected);
  fail("l2", 50);
  EXPECT_EQ(state("l2"), HealthState::ready);
}

TEST_F(FleetTest, EjectedServersAreTheLastResort) {
  fail("l1", 5);
  EXPECT_TRUE(fleet_.drain("l2"));
  const auto decision = route(10000);
  ASSERT_TRUE(decision);
  ASSERT_EQ(decision->order.size(), 1u);
  EXPECT_EQ(decision->order.front().config->name, "l1");
  EXPECT_TRUE(decision->order.front().last_resort);
  fleet_.on_probe(id("l1"), ProbeResult::refused, now_);
  EXPECT_FALSE(route(10000));
}

TEST_F(FleetTest, TwentyFailingRequestsOfOneClientLeaveEverybodyElseAlone) {
  for (int i = 0; i < 20; ++i) {
    for (const auto* name : {"s1", "s2", "s3"}) {
      ASSERT_TRUE(fleet_.begin(id(name)));
      fleet_.end(id(name), i % 2 == 0 ? Outcome::client_fault : Outcome::server_error, nth_key(7), now_);
    }
  }
  EXPECT_EQ(route(5)->order.size(), 5u);
  EXPECT_EQ(fleet_.view(id("s1"), now_).failures, 10u);
  EXPECT_EQ(fleet_.view(id("s1"), now_).requests, 20u);
}

TEST_F(FleetTest, CountsWhatIsUnderWay) {
  EXPECT_TRUE(fleet_.begin(0));
  EXPECT_TRUE(fleet_.begin(0));
  EXPECT_EQ(fleet_.view(0, now_).in_flight, 2u);
  fleet_.end(0, Outcome::client_left, nth_key(0), now_);
  EXPECT_EQ(fleet_.view(0, now_).in_flight, 1u);
  EXPECT_DEATH(fleet_.end(1, Outcome::success, nth_key(0), now_), "in_flight > 0");
}

TEST_F(FleetTest, ADrainOvertakesADecision) {
  const auto decision = route(5);
  ASSERT_TRUE(fleet_.drain(decision->order.front().config->name));
  EXPECT_FALSE(fleet_.begin(decision->order.front().endpoint));
  EXPECT_EQ(fleet_.view(decision->order.front().endpoint, now_).requests, 0u);
  EXPECT_TRUE(fleet_.begin(decision->order.back().endpoint));
}

TEST_F(FleetTest, CountsWhatBeganSinceADrainExactly) {
  ASSERT_TRUE(fleet_.begin(0));
  ASSERT_TRUE(fleet_.drain("s1"));
  EXPECT_FALSE(fleet_.begin(0));
  const auto drained = fleet_.view(0, now_);
  EXPECT_EQ(drained.in_flight, 1u);
  EXPECT_EQ(drained.requests, 1u);
  EXPECT_EQ(drained.requests_since_drain, 0u);
}

TEST_F(FleetTest, RetriesNeedBothAReasonAndABudget) {
  const FailedAttempt refused{Outcome::connect_failure, 1, false, false};
  EXPECT_FALSE(fleet_.take_retry({Outcome::timeout, 1, true, false}, now_));
  int taken = 0;
  while (fleet_.take_retry(refused, now_)) ++taken;
  EXPECT_EQ(taken, 30);
  for (int i = 0; i < 5; ++i) fleet_.count_request(now_);
  EXPECT_TRUE(fleet_.take_retry(refused, now_));
}

TEST_F(FleetTest, ProbesAreDueAtTheStartAndAfterTheInterval) {
  EXPECT_TRUE(fleet_.take_due_probes(now_).empty());
  EXPECT_EQ(fleet_.take_due_probes(now_ + seconds(10)).size(), 5u);
  Fleet fresh(config_, AffinitySecret("s"), now_);
  EXPECT_EQ(fresh.take_due_probes(now_).size(), 5u);
  EXPECT_FALSE(fresh.ready(now_));
}

TEST_F(FleetTest, ASlowProbeIsNotSentTwice) {
  now_ += seconds(10);
  EXPECT_EQ(fleet_.take_due_probes(now_).size(), 5u);
  EXPECT_TRUE(fleet_.take_due_probes(now_ + seconds(60)).empty());
  fleet_.on_probe(id("s2"), ProbeResult::failed, now_);
  EXPECT_EQ(fleet_.take_due_probes(now_ + seconds(1)), std::vector{id("s2")});
}

/// A random fleet under random events. What must always hold is checked after each.
class RandomFleet {
 public:
  explicit RandomFleet(std::uint64_t seed)
      : random_(seed), config_(make_config()), fleet_(config_, AffinitySecret("r"), now_) {}

  void step() {
    const auto id = static_cast<EndpointId>(random_.below(fleet_.endpoints().size()));
    const auto& name = fleet_.endpoint(id).name;
    now_ += std::chrono::milliseconds(random_.below(20'000));
    switch (random_.below(7)) {
      case 0:
        fleet_.on_probe(id, ProbeResult::refused, now_);
        break;
      case 1:
        fleet_.on_probe(id, ProbeResult::failed, now_);
        break;
      case 2:
        EXPECT_TRUE(random_.below(2) == 0 ? fleet_.drain(name) : fleet_.undrain(name));
        break;
      case 3:
        fail_often(id);
        break;
      default:
        fleet_.on_probe(id, ProbeResult::token, now_);
    }
    check_a_request();
  }

 private:
  std::shared_ptr<const Config> make_config() {
    auto config = std::make_shared<Config>();
    ModelConfig model;
    model.name = "m";
    const std::uint64_t pools = 1 + random_.below(3);
    for (std::uint64_t p = 0; p < pools; ++p) {
      config->pools.push_back(test_pool("p" + std::to_string(p), {}));
      for (std::uint64_t n = 1 + random_.below(4); n > 0; --n) {
        EndpointConfig endpoint;
        endpoint.name = "e" + std::to_string(p) + "-" + std::to_string(n);
        endpoint.weight_milli = 1 + static_cast<std::uint32_t>(random_.below(5000));
        config->pools[p].endpoints.push_back(endpoint);
      }
    }
    std::uint32_t window = 0;
    for (std::uint64_t n = 1 + random_.below(4); n > 0; --n) {
      window += 16 + static_cast<std::uint32_t>(random_.below(1000));
      const auto pool = random_.below(pools);
      model.classes.push_back({"c" + std::to_string(n), window, config->pools[pool].name, pool});
    }
    config->models.push_back(model);
    return config;
  }

  void fail_often(EndpointId id) {
    const auto ready_before = ready_in_pool(id);
    for (int i = 0; i < 8; ++i) {
      if (!fleet_.begin(id)) continue;
      fleet_.end(id, Outcome::server_error, nth_key(random_.next()), now_);
    }
    if (ready_before > 0) EXPECT_GE(ready_in_pool(id), 1u) << "the last ready one was ejected";
  }

  std::size_t ready_in_pool(EndpointId id) const {
    std::size_t ready = 0;
    for (const auto other : fleet_.endpoints()) {
      const auto view = fleet_.view(other, now_);
      const bool serves = view.state == HealthState::ready || view.state == HealthState::probation;
      if (view.pool == fleet_.view(id, now_).pool && serves && !view.drained) ++ready;
    }
    return ready;
  }

  void check_a_request() {
    const auto& model = config_->models[0];
    const std::uint64_t truth = random_.below(model.classes.back().max_tokens + 50);
    const TokenRange bounds{truth - random_.below(truth + 1), truth + random_.below(500)};
    auto plan = plan_context(model, bounds, static_cast<std::uint32_t>(random_.below(60)));
    if (const auto* asked = std::get_if<CountNeeded>(&plan.outcome)) {
      const auto stop = asked->stop_above;
      if (random_.below(3) == 0) {
        plan = without_count(plan);
      } else {
        plan = with_count(plan, truth > stop ? TokenCount{stop + 1, true} : TokenCount{truth, false});
      }
    }
    const std::uint64_t needed = truth + plan.output.tokens;
    const auto decision = fleet_.route(plan, nth_key(random_.next()), now_);
    if (needed <= model.classes.back().max_tokens && !decision) {
      EXPECT_EQ(decision.error().status, 503) << "it would have fitted";
    }
    if (!decision) return;
    EXPECT_FALSE(decision->order.empty());
    std::set<EndpointId> seen;
    for (const auto& candidate : decision->order) {
      EXPECT_TRUE(seen.insert(candidate.endpoint).second) << "twice in one order";
      const auto view = fleet_.view(candidate.endpoint, now_);
      const auto& served = model.classes[candidate.class_index];
      EXPECT_GE(candidate.class_index, decision->class_index) << "moved to a smaller window";
      if (plan.counted != CountedBy::uncounted) EXPECT_GE(served.max_tokens, needed);
      EXPECT_EQ(view.pool->name, served.pool);
      EXPECT_FALSE(view.drained);
      EXPECT_TRUE(view.state != HealthState::unready && view.state != HealthState::starting);
      EXPECT_EQ(candidate.last_resort, view.state == HealthState::ejected);
    }
  }

  PhiloxStream random_;
  Instant now_ = Instant{} + seconds(1);
  std::shared_ptr<const Config> config_;
  Fleet fleet_;
};

TEST(FleetProperties, NeverASmallerWindowNorADrainedServerNorAnEmptiedPool) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    RandomFleet fleet(seed);
    for (int i = 0; i < 100; ++i) fleet.step();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace truekeel::fleet
