// SPDX-License-Identifier: Apache-2.0
#include "verify/in_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "http/sim_net.h"

namespace truekeel::verify {
namespace {

TEST(InOrder, TakesTheSlowFirstOneFirstAndNeverAsksForMoreAtOnce) {
  http::SimWorld world(1);
  http::Net& net = world.host("client");
  unsigned running = 0, most = 0;
  std::uint64_t begun = 0;
  std::vector<std::uint64_t> taken;
  const auto more = [&] { return begun < 9; };
  const auto job = [&](std::uint64_t number) -> http::Task<std::uint64_t> {
    ++begun;
    most = std::max(most, ++running);
    co_await net.sleep_until(net.now() + std::chrono::milliseconds(number == 0 ? 500 : 20));
    --running;
    co_return number;
  };
  bool done = false;
  const auto body = [&]() -> http::Task<void> {
    co_await in_order<std::uint64_t>(net, 3, more, job,
                                     [&](std::uint64_t number) { taken.push_back(number); });
    done = true;
  };
  http::spawn(net, body());
  world.run();
  EXPECT_TRUE(done);
  EXPECT_EQ(most, 3U);
  EXPECT_EQ(taken, (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(InOrder, DoesNotRunAheadOfASlowOne) {
  http::SimWorld world(3);
  http::Net& net = world.host("client");
  std::uint64_t begun = 0, taken = 0, ahead = 0;
  const auto more = [&] { return begun < 100; };
  const auto job = [&](std::uint64_t number) -> http::Task<std::uint64_t> {
    ahead = std::max(ahead, ++begun - taken);
    co_await net.sleep_until(net.now() + std::chrono::milliseconds(number % 50 == 0 ? 5000 : 1));
    co_return number;
  };
  const auto body = [&]() -> http::Task<void> {
    co_await in_order<std::uint64_t>(net, 2, more, job, [&](std::uint64_t) { ++taken; });
  };
  http::spawn(net, body());
  world.run();
  EXPECT_EQ(taken, 100U);
  EXPECT_LE(ahead, 9U);
}

TEST(InOrder, EndsAtOnceWhereThereIsNothingToAsk) {
  http::SimWorld world(2);
  http::Net& net = world.host("client");
  bool done = false;
  const auto body = [&]() -> http::Task<void> {
    const auto job = [](std::uint64_t number) -> http::Task<std::uint64_t> { co_return number; };
    co_await in_order<std::uint64_t>(net, 4, [] { return false; }, job, [](std::uint64_t) { FAIL(); });
    done = true;
  };
  http::spawn(net, body());
  world.run();
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace truekeel::verify
