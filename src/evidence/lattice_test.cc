// SPDX-License-Identifier: Apache-2.0
#include "evidence/lattice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/philox.h"
#include "evidence/bounded_rate.h"
#include "evidence/token_audit.h"

namespace truekeel::evidence {
namespace {

Coordinates all_ones() {
  Coordinates where;
  where.value.fill(1);
  return where;
}

Slice slice(std::initializer_list<Slice::Term> terms) { return Slice({terms.begin(), terms.size()}); }

TEST(Slice, IsAConjunctionWithoutOrder) {
  using enum Attribute;
  const Slice a = slice({{version, 2}, {endpoint, 7}}), b = slice({{endpoint, 7}, {version, 2}});
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.hash(), b.hash());
  Coordinates where = all_ones();
  EXPECT_FALSE(a.holds(where));
  where[endpoint] = 7;
  where[version] = 2;
  EXPECT_TRUE(a.holds(where));
  EXPECT_TRUE(Slice().holds(where));
  EXPECT_TRUE(a.excludes(slice({{endpoint, 8}})));
  EXPECT_FALSE(a.excludes(slice({{hardware, 8}})));
}

TEST(Slice, TheSmallestActionNamesTheCulprit) {
  using enum Attribute;
  EXPECT_TRUE(smaller_action(slice({{endpoint, 1}}), slice({{version, 1}})));
  EXPECT_TRUE(smaller_action(slice({{endpoint, 1}}), slice({{endpoint, 1}, {version, 1}})));
  EXPECT_TRUE(smaller_action(slice({{version, 1}, {prompt_length, 1}}), slice({{pool, 1}})));
  EXPECT_TRUE(smaller_action(slice({{client_version, 1}}), Slice()));
  EXPECT_TRUE(slice({{endpoint, 1}, {version, 1}}).refines(slice({{version, 1}})));
  EXPECT_TRUE(slice({{version, 1}}).refines(Slice()));
  EXPECT_FALSE(slice({{version, 1}}).refines(slice({{version, 1}})));
  EXPECT_FALSE(slice({{endpoint, 1}, {version, 1}}).refines(slice({{version, 2}})));
  EXPECT_EQ(slice({{endpoint, 1}, {pool, 3}}).both(slice({{version, 1}, {pool, 3}})),
            slice({{endpoint, 1}, {version, 1}, {pool, 3}}));
  EXPECT_EQ(slice({{endpoint, 1}}).both(Slice()), slice({{endpoint, 1}}));
  EXPECT_FALSE(slice({{endpoint, 1}, {pool, 3}}).both(slice({{version, 1}, {hardware, 2}})));
  EXPECT_TRUE(slice({{endpoint, 1}, {pool, 3}}).names_servers());
  EXPECT_FALSE(Slice().names_servers());
  EXPECT_FALSE(slice({{endpoint, 1}, {batch_size, 3}}).names_servers());
}

TEST(Slice, NamesComeBackAndAreBounded) {
  ValueNames names(2);
  EXPECT_EQ(names.intern(Attribute::endpoint, "s1"), 1u);
  EXPECT_EQ(names.intern(Attribute::endpoint, "s2"), 2u);
  EXPECT_EQ(names.intern(Attribute::endpoint, "s1"), 1u);
  EXPECT_EQ(names.intern(Attribute::endpoint, "s3"), 0u);
  EXPECT_EQ(names.refused(), 1u);
  EXPECT_EQ(names.intern(Attribute::client_version, std::string(257, 'x')), 0u);
  EXPECT_EQ(names.intern(Attribute::version, ""), 0u);
  EXPECT_EQ(names.intern(Attribute::version, "v1"), 1u);
  EXPECT_EQ(names.describe(slice({{Attribute::version, 1}, {Attribute::endpoint, 2}})),
            "endpoint=s2, version=v1");
  EXPECT_EQ(names.describe(Slice()), "all traffic");
}

class LatticeTest : public testing::Test {
 protected:
  std::vector<float> factors(bool flagged) {
    std::vector<float> sums(bet_.bets().cells());
    bet_.add(flagged, sums);
    return sums;
  }
  void add(Lattice& lattice, const Coordinates& where, bool flagged, std::uint64_t client = 1) {
    const auto sums = factors(flagged);
    lattice.add(where, {.log_factors = sums, .tokens = 1, .client = client, .session = client});
  }

  BoundedRate bet_{1e-4};
};

TEST_F(LatticeTest, AnItemHas232Nodes) {
  EXPECT_EQ(attribute_sets().size(), 232u);
  Lattice lattice(bet_.bets().log_weights());
  add(lattice, all_ones(), false);
  EXPECT_TRUE(lattice.flush(1, -20).empty());
  EXPECT_EQ(lattice.nodes(), 232u);
  EXPECT_EQ(lattice.touched(), 232u);
  Coordinates partly = all_ones();
  partly[Attribute::hardware] = 0;  // unknown: no slice with it
  add(lattice, partly, false);
  EXPECT_TRUE(lattice.flush(2, -20).empty());
  EXPECT_EQ(lattice.touched(), 1u + 10 + 45 + 120);
}

TEST_F(LatticeTest, EachNodeIsOneDetectorUpdatedOncePerWindow) {
  Lattice lattice(bet_.bets().log_weights());
  Detector alone(bet_.bets().log_weights());
  PhiloxStream random(1);
  Coordinates where = all_ones();
  for (Tick tick = 1; tick <= 200; ++tick) {
    std::vector<float> sums(bet_.bets().cells());
    for (int i = 0; i < 5; ++i) {
      const bool flagged = random.uniform() < 0.01;
      where[Attribute::endpoint] = 1 + static_cast<ValueId>(random.below(3));
      add(lattice, where, flagged);
      bet_.add(flagged, sums);
    }
    const bool alone_alarms = alone.update(sums, -12, tick);
    const auto found = lattice.flush(tick, -12);
    bool root_alarms = false;
    for (const Alarm& alarm : found) root_alarms = root_alarms || alarm.slice.depth() == 0;
    ASSERT_EQ(root_alarms, alone_alarms);
    lattice.reset(found);
    ASSERT_NEAR(std::max(lattice.log_evidence(lattice.find(Slice())), -100.0),
                std::max(alone.log_evidence(), -100.0), 0.01);
  }
}

TEST_F(LatticeTest, APeeledSliceCountsAloneAndTheRestStartsAfresh) {
  Lattice lattice(bet_.bets().log_weights());
  const Coordinates bad = all_ones();
  Coordinates good = all_ones();
  good[Attribute::endpoint] = 2;
  for (Tick tick = 1; tick <= 3; ++tick) {
    add(lattice, bad, true);
    add(lattice, good, true);
    (void)lattice.flush(tick, -40);
  }
  const Slice culprit = slice({{Attribute::endpoint, 1}}), other = slice({{Attribute::endpoint, 2}});
  const double evidence = lattice.log_evidence(lattice.find(other));
  lattice.peel(culprit);
  EXPECT_LT(lattice.log_evidence(lattice.find(Slice())), -1e6);
  EXPECT_EQ(lattice.log_evidence(lattice.find(other)), evidence) << "shares no item with the culprit";
  const auto tokens = lattice.info(lattice.find(Slice())).tokens;
  add(lattice, bad, true);
  (void)lattice.flush(4, -40);
  EXPECT_EQ(lattice.info(lattice.find(Slice())).tokens, tokens);
  EXPECT_EQ(lattice.info(lattice.find(culprit)).tokens, 4u);
  lattice.unpeel(culprit);
  add(lattice, bad, true);
  (void)lattice.flush(5, -40);
  EXPECT_EQ(lattice.info(lattice.find(Slice())).tokens, tokens + 1);
}

TEST_F(LatticeTest, StaysWithinItsRoomAndRollsUpTheRare) {
  Lattice lattice(bet_.bets().log_weights(), {.nodes_max = 2000, .sweep_every = 10});
  PhiloxStream random(4);
  Coordinates common = all_ones();
  for (Tick tick = 1; tick <= 300; ++tick) {
    add(lattice, common, false);
    Coordinates rare = all_ones();
    rare[Attribute::endpoint] = 2 + static_cast<ValueId>(random.below(300));
    rare[Attribute::client_version] = 2 + static_cast<ValueId>(random.below(300));
    add(lattice, rare, false);
    (void)lattice.flush(tick, -20);
    ASSERT_LE(lattice.nodes(), 2000u);
  }
  EXPECT_GT(lattice.rolled_up(), 0u);
  EXPECT_GT(lattice.refused(), 0u);
  EXPECT_EQ(lattice.info(lattice.find(Slice())).tokens, 600u) << "rolled up, not lost";
  // The common conjunctions are still there, deep ones too; and the index finds every live node.
  using enum Attribute;
  EXPECT_NE(lattice.find(slice({{endpoint, 1}, {client_version, 1}, {pool, 1}})), kNoNode);
  std::size_t live = 0;
  lattice.each([&](NodeId node) {
    ++live;
    EXPECT_EQ(lattice.find(lattice.info(node).slice), node);
  });
  EXPECT_EQ(live, lattice.nodes());
}

TEST_F(LatticeTest, ClientDerivedSlicesAreShownFromFiveClientsOn) {
  Lattice lattice(bet_.bets().log_weights());
  for (Tick tick = 1; tick <= 20; ++tick) {
    add(lattice, all_ones(), false, tick % 4);
    (void)lattice.flush(tick, -20);
  }
  const NodeId infrastructure = lattice.find(slice({{Attribute::endpoint, 1}}));
  const NodeId client = lattice.find(slice({{Attribute::endpoint, 1}, {Attribute::client_version, 1}}));
  EXPECT_TRUE(lattice.may_be_shown(infrastructure));
  EXPECT_FALSE(lattice.may_be_shown(client));
  add(lattice, all_ones(), false, 17);
  (void)lattice.flush(21, -20);
  EXPECT_TRUE(lattice.may_be_shown(client));
}

TEST_F(LatticeTest, AccusersAreTheSessionsWithEvidenceSinceAWindow) {
  Lattice lattice(bet_.bets().log_weights());
  for (std::uint64_t client = 0; client < 10; ++client) add(lattice, all_ones(), client < 3, client);
  (void)lattice.flush(1, -20);
  add(lattice, all_ones(), true, 20);
  (void)lattice.flush(2, -20);
  const Slice first = slice({{Attribute::endpoint, 1}}), other = slice({{Attribute::endpoint, 2}});
  EXPECT_EQ(lattice.accusers(first, 1).at_least(), 4);
  EXPECT_EQ(lattice.accusers(first, 2).at_least(), 1);
  EXPECT_EQ(lattice.accusers(other, 1).at_least(), 0);
  EXPECT_EQ(lattice.info(lattice.find(Slice())).clients.at_least(), 11);
  lattice.peel(first);
  add(lattice, all_ones(), true, 21);
  (void)lattice.flush(3, -20);
  EXPECT_EQ(lattice.accusers(first, 1).at_least(), 5) << "a culprit's are still told";
  EXPECT_TRUE(lattice.accusing().empty()) << "but accuse nobody else";
}

TEST_F(LatticeTest, TheOldestAccusationsAreForgotten) {
  RecentAccusations recent, peeled;
  Coordinates where;
  for (std::size_t i = 0; i < RecentAccusations::kMost + 10; ++i) {
    where[Attribute::endpoint] = 1 + i % 2;
    recent.add({.where = where, .tick = static_cast<Tick>(i)});
  }
  recent.move(slice({{Attribute::endpoint, 1}}), peeled);
  EXPECT_EQ(peeled.items().size(), RecentAccusations::kMost / 2);
  const auto oldest = [](const RecentAccusations& list) {
    return std::ranges::min_element(list.items(), {}, &Accusation::tick)->tick;
  };
  EXPECT_EQ(oldest(recent), 11u);
  for (std::size_t i = 0; i < RecentAccusations::kMost / 2 + 1; ++i)
    recent.add({.where = where, .tick = 9999});
  EXPECT_EQ(recent.items().size(), RecentAccusations::kMost);
  EXPECT_EQ(oldest(recent), 13u) << "the oldest made room";
}

// A million live detectors of the widest signal must fit under 1 GiB; so 32768 of them under 1/32 of that.
TEST(LatticeMemory, AMillionTokenAuditsFitUnderOneGibibyte) {
  const TokenAudit audit;
  constexpr std::size_t kNodes = 1 << 15;
  Lattice lattice(audit.bets().log_weights(), {.nodes_max = kNodes});
  const std::vector<float> sums(audit.bets().cells());
  Coordinates where = all_ones();
  for (Tick tick = 1; lattice.nodes() < kNodes * 15 / 16; ++tick) {
    where[Attribute::endpoint] = tick;
    lattice.add(where, {.log_factors = sums, .tokens = 1});
    (void)lattice.flush(tick, -20);
  }
  const double each = static_cast<double>(lattice.bytes()) / static_cast<double>(lattice.nodes());
  std::printf("%.0f bytes a node, %zu cells\n", each, audit.bets().cells());
  EXPECT_LT(each * 1e6, 1024.0 * 1024 * 1024);
}

}  // namespace
}  // namespace truekeel::evidence
