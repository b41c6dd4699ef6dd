// SPDX-License-Identifier: Apache-2.0
#include "fleet/health.h"

#include <gtest/gtest.h>

namespace truekeel::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class HealthTest : public testing::Test {
 protected:
  HealthTest() { health_.on_probe(ProbeResult::token, now_); }

  /// `count` requests of as many clients as there are requests; true when one of them asked for ejection.
  bool fail(Outcome outcome, int count) {
    bool asked = false;
    for (int i = 0; i < count; ++i) asked = health_.on_outcome(outcome, ++client_, now_);
    return asked;
  }

  void eject() {
    ASSERT_TRUE(fail(Outcome::server_error, 5));
    health_.eject(now_);
  }

  HealthSettings settings_;
  Health health_{settings_};
  Instant now_ = Instant{} + seconds(1000);
  std::uint64_t client_ = 0;
};

TEST(Health, OnlyAGeneratedTokenMakesReady) {
  Health health{HealthSettings{}};
  EXPECT_EQ(health.state(Instant{}), HealthState::starting);
  EXPECT_FALSE(health.ready(Instant{}));
  EXPECT_FALSE(health.on_outcome(Outcome::success, 1, Instant{}));
  EXPECT_FALSE(health.ready(Instant{}));
  health.on_probe(ProbeResult::token, Instant{});
  EXPECT_EQ(health.state(Instant{}), HealthState::ready);
}

TEST_F(HealthTest, ARefusedConnectionIsEnoughAFailedProbeIsNot) {
  health_.on_probe(ProbeResult::failed, now_);
  EXPECT_TRUE(health_.ready(now_));
  health_.on_probe(ProbeResult::token, now_);
  health_.on_probe(ProbeResult::failed, now_);
  EXPECT_TRUE(health_.ready(now_)) << "not in a row";
  health_.on_probe(ProbeResult::failed, now_);
  EXPECT_EQ(health_.state(now_), HealthState::unready);
  health_.on_probe(ProbeResult::token, now_);
  EXPECT_TRUE(health_.ready(now_));
  health_.on_probe(ProbeResult::refused, now_);
  EXPECT_EQ(health_.state(now_), HealthState::unready);
}

TEST_F(HealthTest, WhatTheGatewayLacksSaysNothing) {
  EXPECT_FALSE(fail(Outcome::exhausted, 100));
  EXPECT_FALSE(fail(Outcome::server_error, 4));
  EXPECT_FALSE(fail(Outcome::exhausted, 100));
  EXPECT_TRUE(fail(Outcome::server_error, 1)) << "nor does it interrupt a row";
  for (int i = 0; i < 10; ++i) health_.on_probe(ProbeResult::untried, now_);
  EXPECT_TRUE(health_.ready(now_));
  EXPECT_EQ(health_.probe_due(), now_ + settings_.probe_interval);
  health_.on_probe(ProbeResult::refused, now_);
  health_.on_probe(ProbeResult::untried, now_);
  EXPECT_EQ(health_.state(now_), HealthState::unready) << "nor does it prove anything";
}

TEST_F(HealthTest, ProbesAreSoonerWhereThereIsDoubt) {
  EXPECT_EQ(health_.probe_due(), now_ + settings_.probe_interval);
  now_ += seconds(3);
  EXPECT_FALSE(health_.on_outcome(Outcome::connect_failure, 1, now_));
  EXPECT_EQ(health_.probe_due(), now_);
  health_.on_probe(ProbeResult::failed, now_);
  EXPECT_EQ(health_.probe_due(), now_ + seconds(1));
  EXPECT_FALSE(health_.on_outcome(Outcome::reset, 1, now_ + milliseconds(10)));
  EXPECT_EQ(health_.probe_due(), now_ + seconds(1)) << "a storm of resets is no storm of probes";
  EXPECT_FALSE(health_.on_outcome(Outcome::server_error, 1, now_));
  health_.on_probe(ProbeResult::token, now_);
  EXPECT_EQ(health_.probe_due(), now_ + settings_.probe_interval);
}

TEST_F(HealthTest, FiveFailuresInARowAskForEjection) {
  EXPECT_FALSE(fail(Outcome::server_error, 4));
  EXPECT_FALSE(health_.on_outcome(Outcome::success, 1, now_));
  EXPECT_FALSE(fail(Outcome::garbled, 4));
  EXPECT_TRUE(fail(Outcome::timeout, 1));
  EXPECT_TRUE(health_.ready(now_)) << "the pool decides";
  health_.eject(now_);
  EXPECT_EQ(health_.state(now_), HealthState::ejected);
  EXPECT_TRUE(health_.alive());
}

TEST_F(HealthTest, WhatAClientCausesNeverCounts) {
  for (const auto outcome : {Outcome::client_fault, Outcome::overloaded, Outcome::client_left}) {
    EXPECT_FALSE(fail(outcome, 1000));
  }
  for (const int status : {400, 401, 403, 404, 408, 413, 422, 429, 499}) {
    EXPECT_FALSE(fail(outcome_of_status(status), 100)) << status;
  }
  EXPECT_TRUE(health_.ready(now_));
  EXPECT_EQ(outcome_of_status(200), Outcome::success);
  EXPECT_EQ(outcome_of_status(503), Outcome::server_error);
}

TEST_F(HealthTest, OneClientAloneCannotEjectAServerThatAcceptsConnections) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(health_.on_outcome(Outcome::server_error, i % 2, now_)) << "two clients are not three";
  }
  EXPECT_TRUE(health_.on_outcome(Outcome::server_error, 2, now_));
}

TEST_F(HealthTest, RefusedConnectionsNeedNoWitnesses) {
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(health_.on_outcome(Outcome::connect_failure, 7, now_));
  EXPECT_TRUE(health_.on_outcome(Outcome::connect_failure, 7, now_));
}

TEST_F(HealthTest, EjectionsGrowAreCappedAndAreForgiven) {
  for (const int expected : {30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300}) {
    health_.eject(now_);
    EXPECT_EQ(health_.ejected_until() - now_, seconds(expected));
    EXPECT_FALSE(health_.ready(health_.ejected_until() - Duration(1)));
    now_ = health_.ejected_until();
    EXPECT_TRUE(health_.ready(now_));
  }
  now_ += seconds(30 * 10 + 29);  // forgives ten of twelve
  health_.eject(now_);
  EXPECT_EQ(health_.ejected_until() - now_, seconds(90));
  now_ += std::chrono::hours(24);
  health_.eject(now_);
  EXPECT_EQ(health_.ejected_until() - now_, seconds(30));
}

TEST_F(HealthTest, ProbationNeedsSuccessesAndForgivesLess) {
  eject();
  EXPECT_FALSE(fail(Outcome::server_error, 50)) << "requests that were under way";
  now_ = health_.ejected_until();
  EXPECT_EQ(health_.state(now_), HealthState::probation);
  EXPECT_TRUE(health_.ready(now_));
  EXPECT_FALSE(fail(Outcome::server_error, 2));
  EXPECT_TRUE(fail(Outcome::server_error, 1)) << "three clients suffice now";
  health_.eject(now_);
  now_ = health_.ejected_until();
  EXPECT_TRUE(fail(Outcome::connect_failure, 1));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(health_.state(now_), HealthState::probation);
    EXPECT_FALSE(health_.on_outcome(Outcome::success, 1, now_));
  }
  EXPECT_EQ(health_.state(now_), HealthState::ready);
  EXPECT_FALSE(fail(Outcome::server_error, 4));
}

TEST_F(HealthTest, AReturnedServerStartsWithoutOldFailures) {
  EXPECT_FALSE(fail(Outcome::connect_failure, 4));
  health_.on_probe(ProbeResult::refused, now_);
  health_.on_probe(ProbeResult::token, now_);
  EXPECT_FALSE(fail(Outcome::connect_failure, 4));
}

}  // namespace
}  // namespace truekeel::fleet
