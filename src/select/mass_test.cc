// SPDX-License-Identifier: Apache-2.0
#include "select/mass.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "base/philox.h"

namespace truekeel::select {
namespace {

/// A finite value: of any bits, or of a size that logits have.
float any_top(PhiloxStream& random) {
  if (random.below(2) == 0) return static_cast<float>(40 * random.uniform() - 20);
  const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random.next()));
  return std::isfinite(value) ? value : 0;
}

float any_temperature(PhiloxStream& random) {
  return random.below(2) == 0 ? 1 : std::ldexp(1.0f, static_cast<int>(random.below(129)) - 64);
}

TEST(Mass, TheLeastOrdinalOfAWeightHasItAndTheOneBelowDoesNot) {
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    PhiloxStream random(seed);
    const Scale scale = Scale::of(any_top(random), any_temperature(random));
    const std::uint64_t wanted = 1 + (random.below(kWeightMax) >> random.below(44));
    const Ordinal found = ordinal_with_weight(wanted, scale);
    ASSERT_GE(weight_of(value_of_ordinal(found), scale), wanted) << "seed " << seed;
    if (found - 1 > kForbiddenOrdinal)
      ASSERT_LT(weight_of(value_of_ordinal(found - 1), scale), wanted) << "seed " << seed;
  }
}

}  // namespace
}  // namespace truekeel::select
