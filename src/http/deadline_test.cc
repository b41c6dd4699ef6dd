// SPDX-License-Identifier: Apache-2.0
#include "http/deadline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/philox.h"
#include "http/sim_net.h"

namespace truekeel::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class DeadlineTest : public testing::Test {
 protected:
  DeadlineWheel& wheel() { return world_.host("a").deadlines(); }
  static Instant at(Duration since_start) { return Instant(since_start); }

  SimWorld world_{1};
};

TEST_F(DeadlineTest, FiresOnceNeverEarlyAndAtMostOneTickLate) {
  PhiloxStream random(7);
  std::vector<std::unique_ptr<Deadline>> deadlines;
  std::size_t fired = 0;
  for (int i = 0; i < 1000; ++i) {
    // Some within a tick, some beyond many turns of the wheel.
    const Instant due = at(Duration(random.below(i % 2 == 0 ? 1'000'000'000 : 100'000'000'000)));
    deadlines.push_back(std::make_unique<Deadline>(wheel(), [this, due, &fired] {
      ++fired;
      EXPECT_GE(world_.now(), due);
      EXPECT_LE(world_.now(), due + DeadlineWheel::kTick);
    }));
    deadlines.back()->set(due);
  }
  world_.run();
  EXPECT_EQ(fired, 1000U);
}

TEST_F(DeadlineTest, MovesBothWaysAndGoesOff) {
  std::vector<Instant> fired;
  Deadline later(wheel(), [&] { fired.push_back(world_.now()); });
  Deadline sooner(wheel(), [&] { fired.push_back(world_.now()); });
  Deadline never(wheel(), [] { FAIL(); });
  later.set(at(seconds(1)));
  later.set(at(seconds(20)));
  sooner.set(at(seconds(300)));
  sooner.set(at(seconds(2)));
  never.set(at(seconds(3)));
  never.clear();
  {
    Deadline destroyed(wheel(), [] { FAIL(); });
    destroyed.set(at(seconds(1)));
  }
  world_.run();
  ASSERT_EQ(fired.size(), 2U);
  EXPECT_LE(fired[0], at(seconds(2)) + DeadlineWheel::kTick);
  EXPECT_GE(fired[1], at(seconds(20)));
}

TEST_F(DeadlineTest, MayBeSetAgainOrDestroyedAsItFires) {
  int fired = 0, destroyed = 0;
  std::unique_ptr<Deadline> again, gone, other;
  again = std::make_unique<Deadline>(wheel(), [&] {
    if (++fired < 3) again->set(world_.now() + milliseconds(1));
  });
  // The two of one slot: whichever is first destroys both.
  const auto destroy = [&] {
    ++destroyed;
    gone.reset();
    other.reset();
  };
  gone = std::make_unique<Deadline>(wheel(), destroy);
  other = std::make_unique<Deadline>(wheel(), destroy);
  again->set(at(milliseconds(10)));
  gone->set(at(milliseconds(10)));
  other->set(at(milliseconds(10)));
  world_.run();
  EXPECT_EQ(fired, 3);
  EXPECT_EQ(destroyed, 1);
}

TEST_F(DeadlineTest, CostsNothingWhileNoneIsSet) {
  Deadline deadline(wheel(), [] {});
  deadline.set(at(seconds(1)));
  world_.run();
  EXPECT_LT(world_.now(), at(seconds(2)));
}

}  // namespace
}  // namespace truekeel::http
