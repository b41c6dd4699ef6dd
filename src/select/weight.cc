// SPDX-License-Identifier: Apache-2.0
#include "select/weight.h"

#include <bit>

#include "base/assert.h"

namespace truekeel::select {

std::uint64_t share_of(double share, std::uint64_t total) {
  TK_ASSERT(share >= 0 && share <= 1);
  if (share == 0) return 0;
  // share = mantissa * 2^-shift with a mantissa of 53 bits: the product has at most 117.
  const auto bits = std::bit_cast<std::uint64_t>(share);
  const auto exponent = static_cast<int>(bits >> 52);
  const std::uint64_t stored = bits & ((1ull << 52) - 1);
  const std::uint64_t mantissa = exponent == 0 ? stored : stored | 1ull << 52;
  const int shift = 1075 - (exponent == 0 ? 1 : exponent);
  const uint128 product = static_cast<uint128>(mantissa) * total;
  if (product == 0) return 0;
  if (shift >= 127) return 1;  // the product is below 2^117, so the share is below one unit
  return static_cast<std::uint64_t>((product + ((static_cast<uint128>(1) << shift) - 1)) >> shift);
}

}  // namespace truekeel::select
