// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10: a counter-based generator. Equal key and counter give equal bits everywhere.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Thread safety: pure
// functions.
#pragma once

#include <array>
#include <cstdint>

namespace truekeel {

__extension__ using uint128 = unsigned __int128;

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

/// Four 32-bit words for one counter and key. Cost: ten rounds of two multiplications.
[[nodiscard]] constexpr PhiloxCounter philox(PhiloxCounter counter, PhiloxKey key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

/// 64 uniform bits for one position of one stream under a seed.
/// The seed is the key; counter = (position low, position high, stream, 0).
[[nodiscard]] constexpr std::uint64_t philox_bits(std::uint64_t seed, std::uint64_t position,
                                                  std::uint32_t stream) {
  const auto words =
      philox({static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32), stream, 0},
             {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return static_cast<std::uint64_t>(words[1]) << 32 | words[0];
}

/// A sequential generator over Philox, for simulations and jitter; same sequence on every platform.
class PhiloxStream {
 public:
  explicit PhiloxStream(std::uint64_t seed, std::uint32_t stream = 0) : seed_(seed), stream_(stream) {}

  std::uint64_t next() { return philox_bits(seed_, position_++, stream_); }

  /// Uniform in [0, 1) with 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  /// Uniform in [0, bound), bound > 0. The bias is below bound / 2^64.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<uint128>(next()) * bound) >> 64);
  }

 private:
  std::uint64_t seed_;
  std::uint32_t stream_;
  std::uint64_t position_ = 0;
};

}  // namespace truekeel
