// SPDX-License-Identifier: Apache-2.0
#include "base/philox.h"

#include <gtest/gtest.h>

namespace truekeel {
namespace {

// Known-answer vectors published with Random123 (kat_vectors, philox4x32 10). Red means the generator is
// broken.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, SeedPositionAndStreamAllMatter) {
  const auto base = philox_bits(1, 2, 3);
  EXPECT_NE(base, philox_bits(1ull << 32 | 1, 2, 3));
  EXPECT_NE(base, philox_bits(1, 1ull << 32 | 2, 3));
  EXPECT_NE(base, philox_bits(1, 2, 4));
}

TEST(Philox, BelowStaysBelow) {
  PhiloxStream stream(7);
  for (int i = 0; i < 1000; ++i) EXPECT_LT(stream.below(3), 3u);
}

}  // namespace
}  // namespace truekeel
