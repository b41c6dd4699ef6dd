// SPDX-License-Identifier: Apache-2.0
// Bounded loads, limits of calls under way, and the queues before them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>

#include "base/philox.h"
#include "fleet/fleet.h"
#include "fleet/test_config.h"

namespace truekeel::fleet {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

AffinityKey nth_key(std::uint64_t n) { return {philox_bits(6, n, 0), AffinitySource::user}; }

Config limited(std::uint32_t max_in_flight, std::uint32_t queue_max) {
  auto config = test_config({"s1", "s2"}, {"l1"});
  for (auto& pool : config.pools) {
    pool.load.max_in_flight = max_in_flight;
    pool.load.queue_max = queue_max;
    pool.load.queue_timeout = seconds(9);
  }
  return config;
}

class QueueTest : public testing::Test {
 protected:
  void open(Config config) {
    config_ = std::make_shared<const Config>(std::move(config));
    fleet_ = std::make_unique<Fleet>(config_, AffinitySecret("s"), now_);
    for (const auto id : fleet_->endpoints()) fleet_->on_probe(id, ProbeResult::token, now_);
  }

  ContextPlan plan(std::uint64_t tokens = 5) const {
    return plan_context(config_->models[0], TokenRange::exactly(tokens), 100);
  }
  std::optional<Placement> place(std::uint64_t key, std::uint64_t tokens = 5) {
    return fleet_->place(plan(tokens), nth_key(key), now_);
  }
  Ticket wait(int number, std::uint64_t tokens = 5) {
    const auto waiting =
        fleet_->wait(plan(tokens), nth_key(number), [this, number] { woken_.push_back(number); }, now_);
    EXPECT_TRUE(waiting);
    wake();
    return waiting ? waiting->ticket : 0;
  }
  void end(EndpointId id) {
    fleet_->end(id, Outcome::success, nth_key(0), now_);
    wake();
  }
  void wake() {
    for (const auto& call : fleet_->take_woken()) call();
  }
  /// Takes all room of both short endpoints.
  void fill() {
    while (const auto placed = place(0)) ASSERT_TRUE(*placed);
  }
  std::string at(const std::optional<Placement>& placed) const {
    return placed && *placed ? (*placed)->order.front().config->name : "nowhere";
  }

  Instant now_ = Instant{} + seconds(1);
  std::shared_ptr<const Config> config_;
  std::unique_ptr<Fleet> fleet_;
  std::vector<int> woken_;
};

TEST_F(QueueTest, ASessionLeavesAnEndpointThatHasMoreThanItsShare) {
  open(test_config());
  const auto home = at(place(3));
  std::map<std::string, int> places;
  for (int i = 0; i < 30; ++i) ++places[at(place(3))];
  EXPECT_LT(places[home], 18) << "1.5 times a third of 31 and a few";
  EXPECT_GE(places[home], 14);
  EXPECT_EQ(places["l1"] + places["l2"], 0) << "balance is no reason to leave the pool";
  const auto next = place(3);
  ASSERT_TRUE(next && *next);
  EXPECT_THAT((*next)->passed_over, ElementsAre(*fleet_->find(home)));
}

TEST_F(QueueTest, EqualLoadsGiveEqualOrdersOnEveryReplica) {
  open(test_config());
  Fleet other(config_, AffinitySecret("s"), now_);
  for (const auto id : other.endpoints()) other.on_probe(id, ProbeResult::token, now_);
  PhiloxStream random(4);
  for (int i = 0; i < 200; ++i) {
    const auto id = static_cast<EndpointId>(random.below(5));
    ASSERT_TRUE(fleet_->begin(id) && other.begin(id));
    const auto key = nth_key(random.next());
    EXPECT_EQ(fleet_->route(plan(), key, now_)->order, other.route(plan(), key, now_)->order);
  }
}

TEST_F(QueueTest, NoBoundNoPassingOver) {
  auto config = test_config();
  config.pools[0].load.bound_milli = 0;
  open(std::move(config));
  const auto home = at(place(3));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(at(place(3)), home);
}

TEST_F(QueueTest, WhoFindsAllBusyWaitsForTheFirstThatEnds) {
  open(limited(2, 10));
  fill();
  EXPECT_EQ(fleet_->view(0, now_).in_flight, 2u);
  EXPECT_EQ(fleet_->view(1, now_).in_flight, 2u);
  EXPECT_FALSE(fleet_->begin(0)) << "a retry finds no room either";
  EXPECT_EQ(fleet_->view(2, now_).in_flight, 0u) << "the larger class keeps its room";
  EXPECT_EQ(at(place(1, 10'000)), "l1") << "who needs it gets it";

  const Ticket ticket = wait(1);
  EXPECT_EQ(fleet_->queue(0, now_).waiting, 1u);
  EXPECT_THAT(woken_, ElementsAre());
  now_ += seconds(3);
  EXPECT_EQ(fleet_->queue(0, now_).longest, seconds(3));
  end(1);
  EXPECT_THAT(woken_, ElementsAre(1));
  const auto placed = fleet_->leave(ticket);
  EXPECT_EQ(at(placed), "s2");
  EXPECT_EQ((*placed)->waited, seconds(3));
  EXPECT_EQ(fleet_->view(1, now_).in_flight, 2u);
}

TEST_F(QueueTest, FirstComeFirstServedAndNobodyOvertakes) {
  open(limited(1, 10));
  fill();
  const Ticket one = wait(1), two = wait(2), three = wait(3);
  end(0);
  EXPECT_FALSE(place(4).has_value()) << "the room is the first one's";
  EXPECT_FALSE(fleet_->leave(two).has_value()) << "gives up";
  end(1);
  EXPECT_THAT(woken_, ElementsAre(1, 3));
  EXPECT_NE(at(fleet_->leave(one)), at(fleet_->leave(three)));
  EXPECT_EQ(fleet_->queue(0, now_).waiting, 0u);
}

TEST_F(QueueTest, AFullQueueSendsAway) {
  open(limited(1, 1));
  fill();
  wait(1);
  const auto refused = fleet_->wait(plan(), nth_key(2), [] {}, now_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 503);
  EXPECT_EQ(refused.error().kind, RefusalKind::overloaded);
  EXPECT_EQ(refused.error().retry_after_s, 9u);
  EXPECT_THAT(refused.error().message, HasSubstr("pool 'short' are busy (1 calls each) and 1 calls wait"));
  EXPECT_EQ(fleet_->queue(0, now_).waiting, 1u);
}

TEST_F(QueueTest, WithoutAQueueRoomIsStillFound) {
  open(limited(1, 0));
  fill();
  EXPECT_FALSE(fleet_->wait(plan(), nth_key(2), [] {}, now_));
  end(0);
  const Ticket ticket = wait(2);
  EXPECT_THAT(woken_, ElementsAre(2));
  EXPECT_EQ(at(fleet_->leave(ticket)), "s1");
}

TEST_F(QueueTest, SaysUntilWhenAndWhatThen) {
  open(limited(1, 1));
  fill();
  const auto waiting = fleet_->wait(plan(), nth_key(1), [] {}, now_);
  ASSERT_TRUE(waiting);
  EXPECT_EQ(waiting->until, now_ + seconds(9));
  EXPECT_EQ(waiting->pool, "short");
  EXPECT_THAT(waiting->too_late.message, HasSubstr("busy (1 calls each) for 9 s"));
}

TEST_F(QueueTest, WhoeverWaitsWhenTheLastServerGoesIsTold) {
  open(limited(1, 5));
  fill();
  ASSERT_TRUE(place(1, 10'000));
  const Ticket upward = wait(1), nowhere = wait(2, 10'000);
  ASSERT_TRUE(fleet_->drain("s1") && fleet_->drain("s2"));
  end(2);
  EXPECT_THAT(woken_, ElementsAre(1)) << "who waited longest gets the larger window";
  const auto placed = fleet_->leave(upward);
  EXPECT_EQ(at(placed), "l1");
  EXPECT_TRUE((*placed)->order.front().overflow);
  ASSERT_TRUE(fleet_->drain("l1"));
  static_cast<void>(fleet_->take_due_probes(now_));
  const auto refused = fleet_->leave(nowhere);
  ASSERT_TRUE(refused && !*refused);
  EXPECT_EQ(refused->error().kind, RefusalKind::no_endpoint);
}

TEST_F(QueueTest, RoomThatNobodyTellsOfIsFoundAtTheNextLook) {
  open(limited(1, 5));
  fill();
  ASSERT_TRUE(fleet_->drain("s1"));
  end(0);
  const Ticket ticket = wait(1);
  ASSERT_TRUE(fleet_->undrain("s1"));
  static_cast<void>(fleet_->take_due_probes(now_));
  EXPECT_EQ(at(fleet_->leave(ticket)), "s1");
}

/// Random calls that come, wait, leave and end, beside what must be true of them.
class RandomQueue {
 public:
  explicit RandomQueue(std::uint64_t seed)
      : random_(seed),
        limit_(1 + static_cast<std::uint32_t>(random_.below(3))),
        queue_max_(static_cast<std::uint32_t>(random_.below(4))),
        config_(std::make_shared<const Config>(limited(limit_, queue_max_))),
        fleet_(config_, AffinitySecret("q"), now_) {
    for (const auto id : fleet_.endpoints()) fleet_.on_probe(id, ProbeResult::token, now_);
  }

  void step() {
    switch (random_.below(5)) {
      case 0:
      case 1:
        come();
        break;
      case 2:
        if (!waiting_.empty()) give_up(random_.below(waiting_.size()));
        break;
      default:
        end_one();
    }
    for (const auto& call : fleet_.take_woken()) call();
    check();
  }

 private:
  void come() {
    const auto plan = plan_context(config_->models[0], TokenRange::exactly(random_.below(2) * 10'000), 100);
    const auto key = nth_key(random_.next());
    const bool empty = fleet_.queue(plan.prompt.lower == 0 ? 0 : 1, now_).waiting == 0;
    if (const auto placed = fleet_.place(plan, key, now_)) {
      EXPECT_TRUE(empty) << "overtook";
      running_.push_back((*placed)->order.front().endpoint);
      return;
    }
    const auto number = ++number_;
    const auto waits = fleet_.wait(plan, key, [this, number] { take_turn(number); }, now_);
    if (waits) waiting_.push_back({number, waits->ticket, waits->pool});
  }

  void take_turn(std::uint64_t number) {
    const auto found = std::ranges::find(waiting_, number, &Call::number);
    ASSERT_TRUE(found != waiting_.end()) << "woken without a wait";
    const auto first = std::ranges::find(waiting_, found->pool, &Call::pool);
    EXPECT_EQ(first->number, number) << "not the first of its pool";
    const auto placed = fleet_.leave(found->ticket);
    ASSERT_TRUE(placed && *placed);
    running_.push_back((*placed)->order.front().endpoint);
    waiting_.erase(found);
  }

  void give_up(std::size_t which) {
    EXPECT_FALSE(fleet_.leave(waiting_[which].ticket).has_value());
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(which));
  }

  void end_one() {
    if (running_.empty()) return;
    const auto which = running_.begin() + static_cast<std::ptrdiff_t>(random_.below(running_.size()));
    const EndpointId id = *which;
    running_.erase(which);
    fleet_.end(id, Outcome::success, nth_key(0), now_);
  }

  void check() const {
    for (const auto id : fleet_.endpoints()) {
      const auto view = fleet_.view(id, now_);
      EXPECT_LE(view.in_flight, limit_);
      EXPECT_EQ(view.in_flight, std::ranges::count(running_, id));
      const std::size_t pool = view.pool->name == "short" ? 0 : 1;
      if (fleet_.queue(pool, now_).waiting > 0)
        EXPECT_EQ(view.in_flight, limit_) << "somebody waits before an open door";
    }
    for (std::size_t pool = 0; pool < 2; ++pool) EXPECT_LE(fleet_.queue(pool, now_).waiting, queue_max_);
    EXPECT_EQ(fleet_.queue(0, now_).waiting + fleet_.queue(1, now_).waiting, waiting_.size());
  }

  struct Call {
    std::uint64_t number;
    Ticket ticket;
    std::string pool;
  };
  PhiloxStream random_;
  const std::uint32_t limit_, queue_max_;
  const Instant now_ = Instant{} + seconds(1);
  const std::shared_ptr<const Config> config_;
  Fleet fleet_;
  std::deque<Call> waiting_;
  std::vector<EndpointId> running_;
  std::uint64_t number_ = 0;
};

TEST(QueueProperties, BoundedFairAndNeverIdle) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    RandomQueue queue(seed);
    for (int i = 0; i < 200; ++i) queue.step();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace truekeel::fleet
