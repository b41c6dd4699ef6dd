// SPDX-License-Identifier: Apache-2.0
#include "select/maxima.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "select/candidates.h"
#include "select/test_rows.h"

namespace truekeel::select {
namespace {

/// Group maxima of a random number of blocks.
std::vector<Ordinal> make_groups(PhiloxStream& random) {
  std::vector<Ordinal> groups(kGroups * (1 + random.below(70)));
  for (Ordinal& group : groups) group = static_cast<Ordinal>(random.below(2000)) - 1000;
  return groups;
}

TEST(Maxima, MergedOnesAreMaximaOf16Blocks) {
  with_each_target([](const char* target) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      PhiloxStream random(seed);
      const auto groups = make_groups(random);
      std::vector<Ordinal> merged(groups.size());
      merged.resize(merge_groups(groups, merged));
      ASSERT_EQ(merged.size(), (groups.size() / kGroups + 15) / 16 * kGroups) << "seed " << seed;
      for (std::size_t i = 0; i < merged.size(); ++i) {
        Ordinal max = groups[i / kGroups * 16 * kGroups + i % kGroups];
        for (std::size_t block = i / kGroups * 16; block < i / kGroups * 16 + 16; ++block)
          if (const std::size_t at = block * kGroups + i % kGroups; at < groups.size())
            max = std::max(max, groups[at]);
        ASSERT_EQ(merged[i], max) << "seed " << seed << " on " << target;
      }
    }
  });
}

TEST(Maxima, ThoseAtLeastAsHighAreWrittenInOrder) {
  with_each_target([](const char* target) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      PhiloxStream random(seed);
      const auto groups = make_groups(random);
      const Ordinal least = static_cast<Ordinal>(random.below(2400)) - 1200;
      std::vector<Ordinal> found(groups.size() + kSlack), expected;
      found.resize(maxima_at_least(groups, least, found));
      std::ranges::copy_if(groups, std::back_inserter(expected),
                           [&](Ordinal group) { return group >= least; });
      ASSERT_EQ(found, expected) << "seed " << seed << " on " << target;
    }
  });
}

}  // namespace
}  // namespace truekeel::select
