// SPDX-License-Identifier: Apache-2.0
#include "incident/book.h"

#include <gmock/gmock.h>

#include "incident/test_fleet.h"

namespace truekeel::incident {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const WallTime t0 = kTestStart;
const Traffic kS1 = {{"endpoint", "s1"}};
const Traffic kS2 = {{"endpoint", "s2"}};

std::vector<Status> path(const Incident& incident) {
  std::vector<Status> statuses;
  for (const auto& step : incident.history) statuses.push_back(step.to);
  return statuses;
}

class BookTest : public testing::Test {
 protected:
  Book book{test_fleet()};

  Book::Changed find(const std::string& id, const Traffic& traffic, WallTime at, bool convicted = false) {
    return book.on_finding(test_finding(id, traffic, at, convicted), at + seconds(30));
  }
  Book::Changed route(std::string_view endpoint, bool drained, std::uint32_t in_flight, WallTime at,
                      std::uint64_t routed = 0) {
    const Routing routing{endpoint, drained, in_flight, routed};
    return book.on_routing({&routing, 1}, at);
  }
  const Incident& incident(std::uint64_t number) { return *book.find(number); }
};

TEST_F(BookTest, AnAlarmIsInvestigatedAndItsConvictionIdentifies) {
  EXPECT_THAT(find("a", {{"pool", "short"}}, t0), ElementsAre(1));
  EXPECT_EQ(incident(1).status, Status::investigating);
  EXPECT_THAT(find("a", kS1, t0, true), ElementsAre(1));
  EXPECT_EQ(incident(1).status, Status::identified);
  EXPECT_EQ(incident(1).traffic, kS1);
  EXPECT_EQ(incident(1).findings.size(), 1u);
  EXPECT_EQ(time_to_detect(incident(1).times), seconds(90));
  EXPECT_EQ(incident(1).times.attributed, t0 + seconds(20));
  EXPECT_FALSE(time_to_recover(incident(1).times).has_value());
}

TEST_F(BookTest, DrainingContainsOnceNothingRunsThere) {
  find("a", kS1, t0, true);
  EXPECT_THAT(route("s1", false, 7, t0 + minutes(1)), IsEmpty());
  EXPECT_THAT(route("s1", true, 2, t0 + minutes(2)), ElementsAre(1));
  EXPECT_EQ(incident(1).status, Status::identified);
  EXPECT_EQ(incident(1).times.action_started, t0 + minutes(2));
  EXPECT_THAT(route("s1", true, 0, t0 + minutes(3)), ElementsAre(1));
  EXPECT_EQ(incident(1).status, Status::contained);
  EXPECT_EQ(incident(1).times.drained, t0 + minutes(3));
  EXPECT_THAT(route("s1", true, 0, t0 + minutes(4)), IsEmpty());
}

TEST_F(BookTest, ContainmentNeedsThatNothingWasRoutedThereSinceTheDrain) {
  find("a", kS1, t0, true);
  route("s1", true, 0, t0 + minutes(1), 1);
  EXPECT_EQ(incident(1).status, Status::identified);
  route("s1", false, 0, t0 + minutes(2));
  route("s1", true, 0, t0 + minutes(3), 0);
  EXPECT_EQ(incident(1).status, Status::contained);
}

TEST_F(BookTest, ContainmentNeedsEveryServerOfTheCulprit) {
  find("a", {{"pool", "long"}, {"version", "v1"}}, t0, true);
  ASSERT_EQ(incident(1).carriers.size(), 2u);
  route("l1", true, 0, t0 + minutes(1));
  EXPECT_EQ(incident(1).status, Status::identified);
  route("l3", true, 0, t0 + minutes(2));
  EXPECT_EQ(incident(1).status, Status::contained);
}

TEST_F(BookTest, WhatServesAgainIsMonitoredUntilADetectorObjects) {
  find("a", kS1, t0, true);
  route("s1", true, 0, t0 + minutes(1));
  route("s1", false, 0, t0 + minutes(9));
  EXPECT_EQ(incident(1).status, Status::monitoring);
  find("late", kS1, t0 + minutes(8));
  EXPECT_EQ(incident(1).status, Status::monitoring) << "it speaks of the time before";
  find("again", kS1, t0 + minutes(12));
  EXPECT_EQ(incident(1).status, Status::identified);
}

TEST_F(BookTest, AWiderCulpritIsNotContainedYet) {
  find("a", kS1, t0, true);
  route("s1", true, 0, t0 + minutes(1));
  find("b", {{"version", "v1"}}, t0 + minutes(2), true);
  EXPECT_EQ(book.incidents().size(), 1u);
  EXPECT_EQ(incident(1).status, Status::identified);
  EXPECT_FALSE(incident(1).times.drained.has_value());
  EXPECT_TRUE(incident(1).carriers.front().drained) << "the book knows that s1 is drained";
}

TEST_F(BookTest, AConvictionThatCoversSeveralIncidentsJoinsThem) {
  find("a", kS1, t0);
  find("b", {{"endpoint", "s3"}}, t0 + seconds(5));
  ASSERT_EQ(book.incidents().size(), 2u);
  EXPECT_THAT(find("c", {{"version", "v1"}}, t0 + minutes(1), true), ElementsAre(1, 2));
  EXPECT_EQ(incident(2).status, Status::resolved);
  EXPECT_EQ(incident(2).joined, 1u);
  EXPECT_EQ(incident(1).findings.size(), 3u);
}

TEST_F(BookTest, TwoConvictionsThatMerelyOverlapAreTwoCauses) {
  find("a", {{"version", "v1"}}, t0, true);
  EXPECT_THAT(find("b", {{"pool", "short"}}, t0 + seconds(5), true), ElementsAre(1, 2));
  EXPECT_THAT(incident(1).related, ElementsAre(2));
  EXPECT_THAT(incident(2).related, ElementsAre(1));
}

TEST_F(BookTest, AnotherNameOfTheSameTrafficIsTheSameCause) {
  Book small({{"s1", {{"version", {"v1"}}}}, {"s2", {{"version", {"v2"}}}}});
  EXPECT_THAT(small.on_finding(test_finding("a", kS1, t0, true), t0), ElementsAre(1));
  EXPECT_THAT(small.on_finding(test_finding("b", {{"version", "v1"}}, t0 + hours(5), true), t0),
              ElementsAre(1));
}

TEST_F(BookTest, AnOverlapThatIsNotNearInTimeIsAnotherCause) {
  find("a", {{"version", "v1"}}, t0);
  find("b", {{"pool", "short"}}, t0 + hours(1));
  EXPECT_EQ(book.incidents().size(), 2u);
}

TEST_F(BookTest, AnAlarmThatConvictsElsewhereLeavesItsIncident) {
  find("a", kS1, t0, true);
  find("b", {{"pool", "short"}}, t0 + seconds(3));
  EXPECT_EQ(book.incidents().size(), 1u);
  EXPECT_THAT(find("b", {{"endpoint", "s7"}}, t0 + seconds(3), true), ElementsAre(1, 2));
  EXPECT_EQ(incident(1).findings.size(), 1u);
}

TEST_F(BookTest, AfterAResolutionTheSameTrafficIsANewIncident) {
  find("a", kS1, t0, true);
  EXPECT_THAT(book.on_resolved(1, "rolled back", t0 + minutes(1)), ElementsAre(1));
  EXPECT_THAT(book.on_resolved(1, "again", t0 + minutes(2)), IsEmpty());
  find("b", kS1, t0 + minutes(3), true);
  EXPECT_EQ(incident(1).resolution, "rolled back");
  EXPECT_EQ(incident(2).status, Status::identified);
}

TEST_F(BookTest, VerificationNeedsContainmentAndANewAlarmWithdrawsIt) {
  find("a", kS1, t0, true);
  EXPECT_THAT(book.on_verified(1, t0 + minutes(1)), IsEmpty());
  route("s1", true, 0, t0 + minutes(2));
  EXPECT_THAT(book.on_verified(1, t0 + minutes(3)), ElementsAre(1));
  EXPECT_EQ(time_to_recover(incident(1).times), minutes(3) + seconds(90));
  route("s1", false, 0, t0 + minutes(4));
  find("b", kS1, t0 + minutes(5), true);
  EXPECT_THAT(path(incident(1)), ElementsAre(Status::investigating, Status::identified, Status::contained,
                                             Status::verified, Status::identified));
}

TEST_F(BookTest, TheLikeliestChangeDatesTheIntroduction) {
  find("a", kS1, t0, true);
  const Change deploy{
      .number = 4, .at = t0 - minutes(3), .kind = "deploy", .summary = "s1 to v2", .touches = kS1};
  EXPECT_THAT(book.on_changes({&deploy, 1}), ElementsAre(1));
  EXPECT_THAT(book.on_changes({&deploy, 1}), IsEmpty());
  EXPECT_EQ(incident(1).times.introduced, deploy.at);
  find("b", kS1, t0 - minutes(5), true);
  EXPECT_FALSE(incident(1).times.introduced.has_value()) << "an earlier impact cannot come from it";
}

TEST_F(BookTest, ImpactIsMeasuredUntilContainment) {
  ImpactLedger ledger(1);
  find("a", kS1, t0, true);
  ledger.count("s1", "short", 7, t0);
  EXPECT_THAT(book.on_impact(ledger, t0 + seconds(1)), ElementsAre(1));
  EXPECT_EQ(incident(1).impact->requests, 1u);
  route("s1", true, 0, t0 + minutes(1));
  ledger.count("s2", "short", 8, t0 + minutes(2));
  EXPECT_THAT(book.on_impact(ledger, t0 + minutes(2)), IsEmpty());
}

TEST_F(BookTest, ARestartKeepsTheImpactThatWasCounted) {
  ImpactLedger before(1), after(2);
  find("a", kS1, t0, true);
  before.count("s1", "short", 7, t0);
  EXPECT_THAT(book.on_impact(before, t0 + seconds(1)), ElementsAre(1));
  Book next(test_fleet());
  next.restore(incident(1));
  EXPECT_THAT(next.on_impact(after, t0 + minutes(10)), IsEmpty());
  after.count("s2", "short", 8, t0 + minutes(10));
  EXPECT_THAT(next.on_impact(after, t0 + minutes(11)), IsEmpty());
  EXPECT_EQ(next.find(1)->impact, incident(1).impact);
  static_cast<void>(next.on_finding(test_finding("b", {{"version", "v1"}}, t0, true), t0 + minutes(12)));
  EXPECT_FALSE(next.find(1)->impact.has_value()) << "it was that of other traffic";
  EXPECT_THAT(next.on_impact(after, t0 + minutes(12)), ElementsAre(1));
}

TEST_F(BookTest, NumbersGoOnAfterARestart) {
  find("a", kS1, t0, true);
  route("s1", true, 0, t0 + minutes(1));
  Book next(test_fleet());
  next.restore(incident(1));
  EXPECT_EQ(*next.find(1), incident(1));
  const Routing still{"s1", true, 0, 0};
  EXPECT_THAT(next.on_routing({&still, 1}, t0 + hours(1)), IsEmpty()) << "drained since then";
  EXPECT_THAT(next.on_finding(test_finding("z", kS2, t0 + hours(9), true), t0 + hours(9)), ElementsAre(2));
}

TEST_F(BookTest, FindingsAndClosedIncidentsAreBounded) {
  for (int i = 0; i < 100; ++i) find("f" + std::to_string(i), kS1, t0 + seconds(i));
  EXPECT_EQ(incident(1).findings.size(), kFindingsMax);
  EXPECT_EQ(incident(1).findings_left_out, 100 - kFindingsMax);
  Book small(test_fleet(), {.incidents_max = 3});
  for (int i = 0; i < 10; ++i) {
    const auto changed =
        small.on_finding(test_finding(std::to_string(i), kS1, t0 + hours(i), true), t0 + hours(i));
    if (i < 8) EXPECT_THAT(small.on_resolved(changed.front(), "", t0 + hours(i)), ElementsAre(i + 1));
  }
  EXPECT_EQ(small.incidents().size(), 3u);
  EXPECT_EQ(small.find(1), nullptr);
}

}  // namespace
}  // namespace truekeel::incident
