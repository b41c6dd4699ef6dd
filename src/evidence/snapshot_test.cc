// SPDX-License-Identifier: Apache-2.0
#include "evidence/snapshot.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/philox.h"
#include "evidence/bounded_rate.h"

namespace truekeel::evidence {
namespace {

constexpr double kLogStake = -15;

class SnapshotTest : public testing::Test {
 protected:
  void SetUp() override {
    PhiloxStream random(6);
    for (Tick tick = 1; tick <= 40; ++tick) feed(lattice_, names_, tick, random);
  }

  void feed(Lattice& lattice, ValueNames& names, Tick tick, PhiloxStream& random) {
    Coordinates where;
    where[Attribute::endpoint] = names.intern(Attribute::endpoint, "s" + std::to_string(1 + random.below(3)));
    where[Attribute::version] = names.intern(Attribute::version, "v1");
    const std::uint64_t client = random.next();
    std::vector<float> sums(bet_.bets().cells());
    bet_.add(random.uniform() < 0.1, sums);
    lattice.add(where, {.log_factors = sums, .tokens = 7, .client = client, .session = client});
    (void)lattice.flush(tick, kLogStake);
  }

  BoundedRate bet_{1e-3};
  Lattice lattice_{bet_.bets().log_weights()};
  ValueNames names_;
};

TEST_F(SnapshotTest, GoesOnAsIfNothingHadHappened) {
  const std::string bytes = save(lattice_, names_, 40, kLogStake);
  Lattice restored(bet_.bets().log_weights());
  ValueNames names;
  const auto result = restore(bytes, restored, names);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->tick, 40u);
  EXPECT_EQ(result->nodes, lattice_.nodes()) << "all have evidence here";
  PhiloxStream a(9), b(9);
  for (Tick tick = 41; tick <= 80; ++tick) {
    feed(lattice_, names_, tick, a);
    feed(restored, names, tick, b);
  }
  lattice_.each([&](NodeId node) {
    const Slice& slice = lattice_.info(node).slice;
    const NodeId same = restored.find(slice);
    ASSERT_NE(same, kNoNode);
    EXPECT_EQ(lattice_.log_evidence(node), restored.log_evidence(same));
    EXPECT_EQ(lattice_.onset(node, 2), restored.onset(same, 2));
    EXPECT_EQ(lattice_.info(node).tokens, restored.info(same).tokens);
    EXPECT_EQ(lattice_.info(node).answers, restored.info(same).answers);
    EXPECT_EQ(lattice_.info(node).clients.bits(), restored.info(same).clients.bits());
    EXPECT_EQ(lattice_.info(node).traffic, restored.info(same).traffic) << "equal traffic stays equal";
    EXPECT_EQ(names_.describe(slice), names.describe(slice));
  });
}

TEST_F(SnapshotTest, PeeledSlicesStayPeeled) {
  const Slice::Term term[] = {{Attribute::endpoint, 2}};
  lattice_.peel(Slice(term));
  Lattice restored(bet_.bets().log_weights());
  ValueNames names;
  ASSERT_TRUE(restore(save(lattice_, names_, 40, kLogStake), restored, names));
  ASSERT_EQ(restored.peeled().size(), 1u);
  EXPECT_EQ(restored.peeled()[0], Slice(term));
}

TEST_F(SnapshotTest, WhatDoesNotFitIsRefusedWhole) {
  const std::string good = save(lattice_, names_, 40, kLogStake);
  const auto refused = [&](const std::string& bytes, std::span<const float> weights) {
    Lattice lattice(weights);
    ValueNames names;
    const auto result = restore(bytes, lattice, names);
    return !result && lattice.nodes() == 0 && names.count(Attribute::endpoint) == 0;
  };
  const auto weights = bet_.bets().log_weights();
  EXPECT_FALSE(refused(good, weights));
  EXPECT_TRUE(refused("", weights));
  EXPECT_TRUE(refused(good.substr(0, good.size() - 1), weights));
  EXPECT_TRUE(refused(good, RatioBets(2).log_weights())) << "another mixture";
  for (const std::size_t at : {0u, 5u, 30u, 100u, 200u}) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
    EXPECT_TRUE(refused(bytes, weights)) << "a flipped bit at " << at;
  }
  // Damage behind a right checksum, at every place: refused, or read without harm.
  for (std::size_t at = 0; at + 8 < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0xff);
    const std::uint64_t sum = XXH3_64bits(bytes.data(), bytes.size() - 8);
    std::memcpy(bytes.data() + bytes.size() - 8, &sum, 8);
    Lattice lattice(weights);
    ValueNames names;
    (void)restore(bytes, lattice, names);
  }
}

TEST_F(SnapshotTest, ARefusalLeavesTheBoundOnNames) {
  Lattice lattice(bet_.bets().log_weights());
  ValueNames names(1);
  EXPECT_FALSE(restore(save(lattice_, names_, 40, kLogStake), lattice, names)) << "more names than fit";
  EXPECT_EQ(names.intern(Attribute::endpoint, "a"), 1u);
  EXPECT_EQ(names.intern(Attribute::endpoint, "b"), 0u);
}

TEST_F(SnapshotTest, HoldsTheStrongestOnly) {
  Lattice quiet(bet_.bets().log_weights());
  ValueNames names;
  Coordinates where;
  where[Attribute::endpoint] = names.intern(Attribute::endpoint, "s1");
  std::vector<float> sums(bet_.bets().cells());
  bet_.bets().add_lost(10'000, sums);  // far below a fresh detector
  quiet.add(where, {.log_factors = sums, .tokens = 10'000});
  (void)quiet.flush(1, kLogStake);
  Lattice restored(bet_.bets().log_weights());
  ValueNames again;
  const auto result = restore(save(quiet, names, 1, kLogStake), restored, again);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->nodes, 0u);
  EXPECT_EQ(again.find(Attribute::endpoint, "s1"), 1u);
}

}  // namespace
}  // namespace truekeel::evidence
