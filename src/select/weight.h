// SPDX-License-Identifier: Apache-2.0
// Fixed-point weights: w(x) = trunc(e^((x - max) / T) * 2^44), with an exponential of our own.
// Thread safety: pure functions.
// Invariants: w(max) = 2^44; w never grows when x shrinks, so thresholds on weights are thresholds on keys;
// each step below is one correctly rounded fp32 operation or one integer operation, and none depends on being
// fused, so every IEEE machine computes the same bits. Derivation and error bound: docs/selection.md,
// section 2.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/philox.h"
#include "select/key.h"

namespace truekeel::select {

inline constexpr int kWeightBits = 44;
inline constexpr std::uint64_t kWeightMax = 1ull << kWeightBits;

/// A row has at most this many tokens: then sums of weights stay at or below 2^63.
inline constexpr std::uint32_t kVocabularyMax = 1u << 19;
static_assert(kVocabularyMax <= (1ull << 63) / kWeightMax);

/// Temperatures other than 0 must lie between these; then no step over- or underflows where it matters.
inline constexpr float kTemperatureMin = 0x1p-64f, kTemperatureMax = 0x1p64f;

/// Fixed-point exponent: z = (max - x) / T * log2(e), in units of 2^-24.
inline constexpr int kExponentBits = 24;
inline constexpr float kExponentOne = 0x1p24f;
inline constexpr float kExponentMax = 45 * kExponentOne;  ///< from here on the weight is 0

/// 2^-f = 1 - f/2 - q h with q = f (1 - f) and h = (q + u)(d f + g) + w, minimax for the relative error of
/// 2^-f (2^-22; tools/golden/weight_polynomial.py finds it). f is in units of 2^-24, q of 2^-48 and the
/// result of 2^-25. The line 1 - f/2 stays in integers: therefore weights never grow with the distance. d is
/// a power of two, so that d f is exact and may be fused with what is added.
inline constexpr float kSagU = -0x1.456f0cp+53f, kSagD = 0x1p-105f, kSagG = -0x1.e105b8p-79f,
                       kSagW = -0x1.afd74ap-27f;
inline constexpr int kMantissaBits = 25;
inline constexpr int kShiftBase = 32 + kMantissaBits - kWeightBits;

/// The factor that turns max - x into z. Requires: a temperature within the bounds above.
[[nodiscard]] constexpr float exponent_factor(float temperature) {
  constexpr double kLog2E = 0x1.71547652b82fep+0;
  return static_cast<float>(kLog2E * 0x1p24 / static_cast<double>(temperature));
}

/// What weights of one row at one temperature are relative to.
struct Scale {
  float max = 0;
  float factor = 0;  ///< turns max - x into z

  [[nodiscard]] static constexpr Scale of(float max, float temperature) {
    return {max, exponent_factor(temperature)};
  }
};

/// Requires: x is not NaN, x <= scale.max, which is finite.
[[nodiscard]] constexpr std::uint64_t weight_of(float x, Scale scale) {
  const float distance = scale.max - x;
  const float z = std::min(distance * scale.factor, kExponentMax);
  const auto fixed = static_cast<std::uint32_t>(z);
  const std::uint32_t fraction = fixed & 0xffffff;
  const auto f = static_cast<float>(static_cast<std::int32_t>(fraction));
  const float q = f * (kExponentOne - f);
  const float h = (q + kSagU) * (kSagD * f + kSagG) + kSagW;
  const auto sag = static_cast<std::uint32_t>(q * h);
  const std::uint32_t mantissa = (1u << kMantissaBits) - fraction - sag;
  return (static_cast<std::uint64_t>(mantissa) << 32) >> (kShiftBase + (fixed >> kExponentBits));
}

/// ceil(share * total), exactly. Requires: 0 <= share <= 1.
[[nodiscard]] std::uint64_t share_of(double share, std::uint64_t total);

/// The point of [0, total) that 64 uniform bits fall on.
[[nodiscard]] constexpr std::uint64_t scale_bits(std::uint64_t bits, std::uint64_t total) {
  return static_cast<std::uint64_t>((static_cast<uint128>(bits) * total) >> 64);
}

}  // namespace truekeel::select
