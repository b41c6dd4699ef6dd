// SPDX-License-Identifier: Apache-2.0
// Laws of the book under any order of events: time order, one cause one incident, no transition lost or
// invented, every change reported.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/philox.h"
#include "incident/book.h"
#include "incident/test_fleet.h"

namespace truekeel::incident {
namespace {

using std::chrono::seconds;

constexpr int kCauses = 4;

/// Cause i is that of s(2i+1) and s(2i+2), under any of the names that such traffic has.
Traffic name_of(int cause, PhiloxStream& random) {
  const Traffic one = {{"endpoint", "s" + std::to_string(2 * cause + 1)}};
  auto also = one;
  also.push_back({"class", "short"});
  auto part = one;
  part.push_back({"prompt_length", std::to_string(random.below(3))});
  const Traffic names[] = {one, also, part};
  return names[random.below(3)];
}

void check(const Incident& incident) {
  EXPECT_EQ(incident.status, status_of(incident));
  ASSERT_FALSE(incident.history.empty());
  EXPECT_FALSE(incident.history.front().from.has_value());
  EXPECT_EQ(incident.history.back().to, incident.status);
  for (std::size_t i = 1; i < incident.history.size(); ++i) {
    EXPECT_EQ(incident.history[i].from, incident.history[i - 1].to);
    EXPECT_NE(incident.history[i].to, incident.history[i - 1].to);
    EXPECT_GE(incident.history[i].at, incident.history[i - 1].at);
  }
  const auto& times = incident.times;
  EXPECT_LE(times.first_impact, times.first_signal);
  EXPECT_LE(times.first_signal, times.detected);
  if (times.introduced) EXPECT_LE(*times.introduced, times.first_impact);
  if (times.attributed) EXPECT_LE(times.detected, *times.attributed);
  EXPECT_EQ(times.attributed.has_value(), incident.convicted);
  if (times.drained) {
    ASSERT_TRUE(times.action_started.has_value());
    EXPECT_LE(*times.action_started, *times.drained);
  }
  if (times.verified && times.drained) EXPECT_LE(*times.drained, *times.verified);
}

/// Applies an event, and checks that what it reports as changed is what changed.
template <class Event>
void apply(Book& book, Event event) {
  const auto before = book.incidents();
  const Book::Changed reported = event(book);
  Book::Changed changed;
  for (const auto& [number, incident] : book.incidents()) {
    check(incident);
    const auto old = before.find(number);
    if (old == before.end() || old->second != incident) changed.push_back(number);
  }
  EXPECT_TRUE(std::ranges::includes(reported, changed));
}

class BookLaws : public testing::TestWithParam<std::uint64_t> {};

TEST_P(BookLaws, OneCauseIsOneIncidentInAnyOrder) {
  PhiloxStream random(GetParam());
  std::vector<Finding> findings;
  for (int cause = 0; cause < kCauses; ++cause) {
    const Traffic culprit = {{"endpoint", "s" + std::to_string(2 * cause + 1)}};
    for (int alarm = 0; alarm < 6; ++alarm) {
      const auto at = kTestStart + seconds(random.below(300));
      const auto id = std::to_string(cause) + "-" + std::to_string(alarm);
      findings.push_back(test_finding(id, name_of(cause, random), at));
      if (alarm < 2) findings.push_back(test_finding(id, culprit, at, true));
    }
  }
  for (std::size_t i = findings.size(); i > 1; --i) std::swap(findings[i - 1], findings[random.below(i)]);

  Book book(test_fleet());
  WallTime now = kTestStart;
  for (const auto& finding : findings) {
    now += seconds(random.below(20));
    apply(book, [&](Book& b) { return b.on_finding(finding, now); });
  }
  std::vector<Traffic> culprits;
  for (const auto& [number, incident] : book.incidents()) {
    if (!incident.joined) culprits.push_back(incident.traffic);
  }
  std::ranges::sort(culprits);
  EXPECT_EQ(culprits.size(), static_cast<std::size_t>(kCauses)) << "seed " << GetParam();
  EXPECT_EQ(std::ranges::unique(culprits).size(), 0u);
}

TEST_P(BookLaws, TheRecordHoldsUnderAnyOrderOfEvents) {
  PhiloxStream random(GetParam(), 1);
  Book book(test_fleet());
  WallTime now = kTestStart;
  const auto changes = [&] {
    std::vector<Change> made;
    for (std::uint64_t i = 1; i <= 3; ++i) {
      made.push_back({.number = i,
                      .at = kTestStart + seconds(random.below(2000)),
                      .kind = "deploy",
                      .summary = "",
                      .touches = name_of(0, random)});
    }
    return made;
  }();
  for (int step = 0; step < 300; ++step) {
    now += seconds(random.below(60)) - seconds(10);  // clocks go back, too
    const auto number = 1 + random.below(6);
    const auto endpoint = "s" + std::to_string(1 + random.below(8));
    apply(book, [&](Book& b) -> Book::Changed {
      switch (random.below(8)) {
        case 0:
        case 1:
        case 2: {
          auto finding = test_finding(std::to_string(random.below(40)),
                                      name_of(static_cast<int>(random.below(kCauses)), random),
                                      now - seconds(random.below(600)), random.below(2) == 0);
          if (random.below(4) == 0) finding.onset = finding.detected + seconds(5);  // a late clock
          return b.on_finding(finding, now);
        }
        case 3:
        case 4: {
          const bool drained = random.below(3) != 0;
          const Routing routing{endpoint, drained, static_cast<std::uint32_t>(random.below(3) / 2), 0};
          return b.on_routing({&routing, 1}, now);
        }
        case 5:
          return b.on_verified(number, now);
        case 6:
          return random.below(4) == 0 ? b.on_resolved(number, "", now) : Book::Changed{};
        default:
          return b.on_changes(changes);
      }
    });
    if (HasFailure()) FAIL() << "seed " << GetParam() << ", step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, BookLaws, testing::Range<std::uint64_t>(1, 101));

}  // namespace
}  // namespace truekeel::incident
