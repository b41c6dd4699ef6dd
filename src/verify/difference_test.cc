// SPDX-License-Identifier: Apache-2.0
#include "verify/difference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/philox.h"
#include "evidence/confidence.h"

namespace truekeel::verify {
namespace {

using protocol::ListedRow;

TEST(Distance, IsTheMeanOfWhatBothListAndBlindBeyondTheLists) {
  const ListedRow a = {{1, -1.0f}, {2, -2.0f}, {3, -3.0f}};
  EXPECT_EQ(distance(a, a, 20), 0.0);
  const ListedRow moved = {{2, -2.5f}, {1, -1.0f}, {3, -3.0f}};
  EXPECT_NEAR(*distance(a, moved, 20), 2 * 0.5 / 6, 1e-6);
  // 3 of the one is worth at most -2.5 to the other, and 4 of the other at most -3 to the one.
  const ListedRow others = {{1, -1.0f}, {2, -2.0f}, {4, -2.5f}};
  EXPECT_NEAR(*distance(a, others, 20), 0.5 / 6, 1e-6);
  EXPECT_EQ(*distance(a, others, 20), *distance(others, a, 20));
}

TEST(Distance, LooksAtTheBestAloneInWhateverOrderTheyCome) {
  const ListedRow a = {{3, -9.0f}, {1, -1.0f}, {2, -2.0f}},
                  b = {{1, -1.0f}, {2, -2.0f}, {3, -4.0f}, {5, -8.0f}};
  EXPECT_EQ(distance(a, b, 2), 0.0);
}

TEST(Distance, IsUnknownWhereThereIsNothingToCompare) {
  const ListedRow one = {{1, -1.0f}}, two = {{1, -1.0f}, {2, -2.0f}};
  EXPECT_FALSE(distance(one, two, 20));
  EXPECT_FALSE(distance(Rows{}, Rows{}, 20));
  EXPECT_FALSE(distance(Rows{two}, Rows{two, two}, 20));
}

/// A server's reading of a context: the same weights for all, `shift` of its own that stays, noise that does
/// not.
ListedRow reading(std::uint64_t context, double shift, std::uint64_t server, double noise,
                  PhiloxStream& random) {
  PhiloxStream truth(context, 1), own(context, static_cast<std::uint32_t>(10 + server));
  const auto normal = [](PhiloxStream& of) {
    return std::sqrt(-2 * std::log(1 - of.uniform())) * std::cos(2 * std::numbers::pi * of.uniform());
  };
  ListedRow row;
  double logprob = -0.5;
  for (std::uint64_t key = 0; key < 20; ++key) {
    logprob -= truth.uniform();
    row.push_back({key, static_cast<float>(logprob + shift * normal(own) + noise * normal(random))});
  }
  return row;
}

struct Pair {
  double target_shift = 0, reference_shift = 0, noise = 0;
};

/// Looks after every context, as the product does; true when it ever says that they differ.
bool accused(const Pair& pair, std::uint64_t run, const DifferenceSettings& settings, std::size_t contexts) {
  PhiloxStream random(run, 99);
  DifferenceTest test(settings);
  for (std::uint64_t i = 0; i < contexts && !test.differs(); ++i) {
    const std::uint64_t context = philox_bits(run, i, 7);
    const auto t1 = reading(context, pair.target_shift, 0, pair.noise, random);
    const auto t2 = reading(context, pair.target_shift, 0, pair.noise, random);
    const auto r1 = reading(context, pair.reference_shift, 1, pair.noise, random);
    const auto r2 = reading(context, pair.reference_shift, 1, pair.noise, random);
    test.add({.stratum = i % 5 == 4 ? Stratum::long_prompts : Stratum::short_prompts,
              .tokens = 50,
              .between = (*distance(t1, r1, 19) + *distance(t2, r2, 19)) / 2,
              .within_target = *distance(t1, t2, 19),
              .within_reference = *distance(r1, r2, 19)});
  }
  return test.differs();
}

TEST(DifferenceTest, AccusesEqualServersInAtMostTheStatedShareOfRuns) {
  const DifferenceSettings settings{.tolerance = 0.15, .error = 0.05};
  constexpr std::uint64_t kRuns = 200;
  // Without noise, with the noise of bf16, with more noise than tolerance; then servers that differ as benign
  // ones do, always by the same.
  for (const Pair pair : {Pair{}, Pair{0, 0, 0.1}, Pair{0, 0, 0.5}, Pair{0.1, 0, 0}, Pair{0.2, 0, 0.12}}) {
    std::uint64_t count = 0;
    for (std::uint64_t run = 0; run < kRuns; ++run) count += accused(pair, run, settings, 60);
    EXPECT_LE(evidence::rate_lower_bound(count, kRuns, 0.99), settings.error)
        << count << " of " << kRuns << " with shift " << pair.target_shift << " and noise " << pair.noise;
  }
}

TEST(DifferenceTest, KeepsItsErrorWhereTheExcessIsTheToleranceItself) {
  const DifferenceSettings settings{.tolerance = 0.15, .error = 0.05};
  constexpr std::uint64_t kRuns = 400;
  std::uint64_t count = 0;
  for (std::uint64_t run = 0; run < kRuns; ++run) {
    PhiloxStream random(run, 3);
    DifferenceTest test(settings);
    for (int i = 0; i < 80; ++i)
      test.add({.stratum = i % 2 == 0 ? Stratum::short_prompts : Stratum::long_prompts,
                .tokens = 50,
                .between = 0.45 * (random.uniform() < 1.0 / 3 ? 1 : 0),
                .within_target = 0,
                .within_reference = 0});
    count += test.differs();
  }
  EXPECT_LE(evidence::rate_lower_bound(count, kRuns, 0.99), settings.error) << count << " of " << kRuns;
}

TEST(DifferenceTest, FindsServersThatDiffer) {
  const DifferenceSettings settings{.tolerance = 0.15, .error = 1e-3};
  for (std::uint64_t run = 0; run < 20; ++run) {
    EXPECT_TRUE(accused({0.6, 0, 0}, run, settings, 60)) << run;
    EXPECT_TRUE(accused({0.6, 0, 0.1}, run, settings, 90)) << run;
  }
}

TEST(DifferenceTest, SaysWhenServersAreTheSame) {
  DifferenceTest test({.tolerance = 0.15});
  int contexts = 0;
  for (; !test.same() && contexts < 100; ++contexts)
    test.add({.tokens = 50, .between = 0.01, .within_target = 0, .within_reference = 0});
  EXPECT_TRUE(test.same());
  EXPECT_FALSE(test.differs());
  EXPECT_LT(contexts, 40);
  EXPECT_LT(test.all().upper, 0.15);
  EXPECT_EQ(test.view(Stratum::long_prompts).contexts, 0U);
}

TEST(DifferenceTest, FindsWhatShowsInLongPromptsAlone) {
  DifferenceTest test({.tolerance = 0.15});
  for (int i = 0; i < 120 && !test.differs(); ++i)
    test.add({.stratum = i % 4 == 3 ? Stratum::long_prompts : Stratum::short_prompts,
              .tokens = 50,
              .between = i % 4 == 3 ? 0.6 : 0.01,
              .within_target = 0,
              .within_reference = 0});
  EXPECT_TRUE(test.differs());
  EXPECT_GT(test.view(Stratum::long_prompts).lower, 0.15);
  EXPECT_LT(test.view(Stratum::short_prompts).upper, 0.15);
}

TEST(DifferenceTest, SaysNothingOfServersThatDifferFromThemselvesBeyondTheTolerance) {
  DifferenceTest test({.tolerance = 0.15});
  for (int i = 0; i < 60; ++i)
    test.add(
        {.tokens = 50, .between = i % 2 == 0 ? 2.0 : 0.0, .within_target = 0.4, .within_reference = 0.1});
  EXPECT_TRUE(test.too_noisy());
  EXPECT_FALSE(test.differs());
  EXPECT_FALSE(test.same());
}

}  // namespace
}  // namespace truekeel::verify
