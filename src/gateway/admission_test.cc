// SPDX-License-Identifier: Apache-2.0
// Waiting for room at a server: its turn, its time, and what happens when both or neither come.
#include "gateway/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "fleet/test_config.h"
#include "http/server.h"
#include "http/sim_net.h"

namespace truekeel::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

constexpr Duration kTimeout = seconds(5);
constexpr Duration kUnderWay = http::SimFaults().latency_min;  // of whatever is sent

std::shared_ptr<const fleet::Config> one_server_for_one_call() {
  auto config = fleet::test_config({"s1"}, {"l1"});
  config.pools[0].load.max_in_flight = 1;
  config.pools[0].load.queue_timeout = kTimeout;
  return std::make_shared<const fleet::Config>(std::move(config));
}

/// A gateway that only admits: whoever gets a place keeps it until end_call().
class AdmissionTest : public testing::Test {
 protected:
  AdmissionTest() {
    EXPECT_TRUE(server_.listen({"", 80}));
    shared_->fleet([this](fleet::Fleet& fleet) {
      for (const auto id : fleet.endpoints()) fleet.on_probe(id, fleet::ProbeResult::token, net_.now());
    });
  }
  ~AdmissionTest() override {
    clients_.clear();
    world_.run(world_.now() + seconds(60));
    EXPECT_EQ(server_.exchanges(), 0u);
  }

  http::Task<void> admit(http::Exchange& exchange) {
    ClientCall call{.exchange = exchange,
                    .route = {},
                    .id = {},
                    .client = 0,
                    .arrived = net_.now(),
                    .deadline = {},
                    .explain = false,
                    .record = {}};
    if (exchange.request().target == "/hurry") call.deadline = net_.now() + seconds(1);
    const auto plan = fleet::plan_context(config_->models[0], fleet::TokenRange::exactly(5), 100);
    auto placed = admission_.place_now(plan, {.hash = 1});
    if (!placed) placed = co_await admission_.wait_for_room(call, plan, {.hash = 1});
    ends_.push_back(*placed ? "placed" : placed->error().error.code);
    waited_ = net_.now() - call.arrived;
    co_await exchange.respond(200, {}, "");
  }

  /// Returns its connection; its request is with the gateway after the next run().
  http::Stream& ask(const std::string& target = "/") {
    clients_.push_back(world_.host("client").dial({"gateway", 80}));
    http::spawn(world_.host("client"),
                say(*clients_.back(), "GET " + target + " HTTP/1.1\r\nHost: g\r\n\r\n"));
    return *clients_.back();
  }
  static http::Task<void> say(http::Stream& stream, std::string text) {
    const std::string_view piece = text;
    if (co_await stream.writable()) stream.write_now({&piece, 1});
  }

  void run(Duration duration = milliseconds(1)) { world_.run(world_.now() + duration); }
  void end_call() {
    shared_->fleet([this](fleet::Fleet& fleet) {
      fleet.end(*fleet.find("s1"), fleet::Outcome::success, {}, net_.now());
    });
  }
  http::Task<void> end_call_at(Instant when) {
    co_await net_.sleep_until(when);
    end_call();
  }
  [[nodiscard]] std::uint32_t in_flight() {
    return shared_->fleet([](const fleet::Fleet& fleet) { return fleet.in_flight().front().second; });
  }

  http::SimWorld world_{1};
  http::Net& net_ = world_.host("gateway");
  const std::shared_ptr<const fleet::Config> config_ = one_server_for_one_call();
  const std::unique_ptr<Shared> shared_ = Shared::make(config_, "secret", net_.now()).value();
  Admission admission_{net_, *shared_};
  std::vector<std::string> ends_;
  Duration waited_{};
  std::vector<std::unique_ptr<http::Stream>> clients_;
  http::Server server_{net_, {}, [this](http::Exchange& exchange) { return admit(exchange); }};
};

TEST_F(AdmissionTest, WaitsForItsTurn) {
  ask(), run();
  ask(), run();
  EXPECT_THAT(ends_, ElementsAre("placed"));
  end_call(), run();
  EXPECT_THAT(ends_, ElementsAre("placed", "placed"));
  EXPECT_EQ(in_flight(), 1u);
}

TEST_F(AdmissionTest, NobodyWaitsForLongerThanTheQueueAllows) {
  ask(), run();
  ask(), run(kTimeout - seconds(1));
  EXPECT_THAT(ends_, ElementsAre("placed"));
  run(seconds(2));
  EXPECT_THAT(ends_, ElementsAre("placed", "overloaded"));
  EXPECT_GE(waited_, kTimeout);
}

TEST_F(AdmissionTest, NorForLongerThanTheClientWants) {
  ask(), run();
  ask("/hurry"), run(seconds(2));
  EXPECT_THAT(ends_, ElementsAre("placed", "deadline_exceeded"));
}

TEST_F(AdmissionTest, WhoLeavesAtTheMomentOfItsTurnLeavesTheRoomToOthers) {
  ask(), run();
  auto& leaves = ask();
  run();
  // One wake-up of the event loop: the turn first, and then the news that nobody wants it.
  http::spawn(net_, end_call_at(net_.now() + kUnderWay));
  leaves.reset();
  run();
  EXPECT_THAT(ends_, ElementsAre("placed", "overloaded"));
  EXPECT_EQ(in_flight(), 0u);
  ask(), run();
  EXPECT_EQ(ends_.back(), "placed");
}

TEST_F(AdmissionTest, AShutdownAtTheMomentOfATurnTakesNoRoom) {
  ask(), run();
  ask(), run();
  end_call();
  admission_.close();
  run();
  EXPECT_THAT(ends_, ElementsAre("placed", "shutting_down"));
  EXPECT_EQ(in_flight(), 0u);
}

}  // namespace
}  // namespace truekeel::gateway
