// SPDX-License-Identifier: Apache-2.0
#include "select/threshold.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "select/candidates.h"
#include "select/test_rows.h"

namespace truekeel::select {
namespace {

struct Set {
  std::vector<Ordinal> ordinals;
  std::vector<std::uint64_t> weights;  // one for each ordinal value, so that equals weigh the same
};

Set make_set(PhiloxStream& random, std::size_t size) {
  Set set;
  const std::uint64_t range = 1 + random.below(random.below(2) == 0 ? 5 : 1u << 31);
  for (std::size_t i = 0; i < size; ++i) {
    const auto ordinal = static_cast<Ordinal>(static_cast<std::int64_t>(random.below(range)) - (1 << 29));
    set.ordinals.push_back(ordinal);
    set.weights.push_back(static_cast<std::uint64_t>(ordinal + (1 << 29)) / 3);  // some weigh nothing
  }
  return set;
}

/// What lies above the threshold, and what lies above or on it.
template <class F>
std::pair<std::uint64_t, std::uint64_t> measure(const Set& set, Ordinal threshold, F&& each) {
  std::uint64_t above = 0, reached = 0;
  for (std::size_t i = 0; i < set.ordinals.size(); ++i) {
    if (set.ordinals[i] > threshold) above += each(i);
    if (set.ordinals[i] >= threshold) reached += each(i);
  }
  return {above, reached};
}

std::vector<Ordinal> with_slack(std::vector<Ordinal> ordinals) {
  ordinals.resize(ordinals.size() + kSlack);
  return ordinals;
}

TEST(Threshold, ByCountIsExact) {
  with_each_target([](const char* target) {
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
      PhiloxStream random(seed);
      const Set set = make_set(random, 1 + random.below(500));
      const auto needed = static_cast<std::uint32_t>(1 + random.below(set.ordinals.size()));
      auto scratch = with_slack(set.ordinals);
      const Threshold found = threshold_of_count(std::span(scratch).first(set.ordinals.size()), needed);
      const auto [above, reached] = measure(set, found.ordinal, [](std::size_t) { return 1; });
      ASSERT_EQ(found.above, above) << "seed " << seed << " on " << target;
      ASSERT_TRUE(above == needed || (above < needed && reached >= needed))
          << "seed " << seed << " on " << target;
    }
  });
}

TEST(Threshold, ByMassIsExactWhateverTheGuess) {
  with_each_target([](const char* target) {
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
      PhiloxStream random(seed);
      const Set set = make_set(random, 1 + random.below(500));
      const auto [none, total] =
          measure(set, kForbiddenOrdinal, [&](std::size_t i) { return set.weights[i]; });
      if (total == 0) continue;
      const std::uint64_t needed = 1 + random.below(total);
      auto scratch = with_slack(set.ordinals);
      auto weights = set.weights;
      weights.resize(weights.size() + kSlack);
      const Ordinal guess = set.ordinals[random.below(set.ordinals.size())];
      const Threshold found = threshold_of_mass(std::span(scratch).first(set.ordinals.size()),
                                                std::span(weights).first(set.ordinals.size()), needed, guess);
      const auto [above, reached] =
          measure(set, found.ordinal, [&](std::size_t i) { return set.weights[i]; });
      ASSERT_EQ(found.above, above) << "seed " << seed << " on " << target;
      ASSERT_TRUE(above < needed && reached >= needed) << "seed " << seed << " on " << target;
    }
  });
}

}  // namespace
}  // namespace truekeel::select
