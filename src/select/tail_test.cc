// SPDX-License-Identifier: Apache-2.0
#include "select/tail.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "select/candidates.h"
#include "select/mass.h"
#include "select/survey.h"
#include "select/test_rows.h"

namespace truekeel::select {
namespace {

/// A row with three ascending cuts, each an element of it or near one.
struct Sums {
  explicit Sums(std::uint64_t seed) {
    PhiloxStream random(seed);
    const auto size = 1 + static_cast<std::uint32_t>(random.below(3000));
    own = make_row(random, static_cast<Shape>(random.below(kShapes)), size,
                   static_cast<DType>(random.below(3)));
    for (Ordinal& cut : cuts) {
      const Ordinal near = ordinal_of(own.row()[static_cast<std::uint32_t>(random.below(size))]);
      cut = std::max(near + static_cast<Ordinal>(random.below(3)) - 1, kForbiddenOrdinal + 1);
    }
    std::ranges::sort(cuts);
  }

  [[nodiscard]] std::array<std::uint64_t, 3> expected(Scale scale) const {
    std::array<std::uint64_t, 3> sums{};
    for (std::uint32_t id = 0; id < own.row().size; ++id)
      for (std::size_t cut = 0; cut < cuts.size(); ++cut)
        if (const float x = own.row()[id]; ordinal_of(x) >= cuts[cut]) sums[cut] += weight_of(x, scale);
    return sums;
  }

  OwnedRow own;
  std::array<Ordinal, 3> cuts{};
};

TEST(Tail, SumsAreThoseOfTheElementsAtAndAboveEachCut) {
  with_each_target([](const char* target) {
    for (std::uint64_t seed = 0; seed < 600; ++seed) {
      const Sums row(seed);
      std::vector<std::byte> tail(kBlock * sizeof(float));
      const Blocks blocks = blocks_of(row.own.row(), TailBuffer(tail.data(), TailBuffer::extent));
      std::vector<Ordinal> groups(std::size_t{blocks.count()} * kGroups), scratch(blocks.size + kSlack);
      const auto found = survey(blocks, groups);
      ASSERT_TRUE(found);
      if (found->top == kForbiddenOrdinal) continue;
      const Scale scale = Scale::of(value_of_ordinal(found->top), 1);
      std::array<std::uint64_t, 3> sums{};
      sums_at_least(blocks, groups, scale, row.cuts, scratch, sums);
      ASSERT_EQ(sums, row.expected(scale)) << "seed " << seed << " on " << target;
    }
  });
}

}  // namespace
}  // namespace truekeel::select
