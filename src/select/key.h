// SPDX-License-Identifier: Apache-2.0
// Logits as they lie in memory, and their keys: unsigned integers in the order of the values.
// Thread safety: pure functions.
// Invariant: key_of(a) < key_of(b) exactly when a < b; -0 and +0 share one key. Keys are compared, never
// floats: a CPU told to treat denormals as zero would take different logits for equal.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace truekeel::select {

using Key = std::uint32_t;

/// In the order in which they get coarser.
enum class DType : std::uint8_t { f32, f16, bf16 };

inline constexpr std::uint32_t kSignBit = 0x80000000, kInfinityBits = 0x7f800000;

/// Requires: value is not NaN.
[[nodiscard]] constexpr Key key_of(float value) {
  auto bits = std::bit_cast<std::uint32_t>(value);
  if (bits == kSignBit) bits = 0;
  return bits ^ (static_cast<std::uint32_t>(static_cast<std::int32_t>(bits) >> 31) | kSignBit);
}

/// The value that has this key (+0 for the key of both zeros).
[[nodiscard]] constexpr float value_of(Key key) {
  return std::bit_cast<float>(key & kSignBit ? key ^ kSignBit : ~key);
}

inline constexpr Key kForbidden = 0x007fffff;  ///< the key of -inf
inline constexpr Key kInfinite = 0xff800000;   ///< the key of +inf
static_assert(value_of(kForbidden) == -value_of(kInfinite) && key_of(-0.0f) == key_of(0.0f));

/// Exact: every bf16 and every fp16 value is an fp32 value.
[[nodiscard]] constexpr float widen_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

[[nodiscard]] constexpr float widen_f16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  const std::uint32_t exponent = (bits >> 10) & 31, mantissa = bits & 0x3ff;
  if (exponent == 31) return std::bit_cast<float>(sign | kInfinityBits | mantissa << 13);
  if (exponent > 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  if (mantissa == 0) return std::bit_cast<float>(sign);
  const auto shift = static_cast<std::uint32_t>(std::countl_zero(mantissa)) - 21;  // subnormal: normalise
  return std::bit_cast<float>(sign | (113 - shift) << 23 | ((mantissa << shift) & 0x3ff) << 13);
}

[[nodiscard]] constexpr std::size_t bytes_of(DType dtype) { return dtype == DType::f32 ? 4 : 2; }

/// One row of logits in natural-log units, borrowed.
struct Row {
  const void* data = nullptr;
  std::uint32_t size = 0;
  DType dtype = DType::f32;

  /// The value at an index below size, widened to fp32.
  [[nodiscard]] float operator[](std::uint32_t index) const {
    switch (dtype) {
      case DType::f16:
        return widen_f16(static_cast<const std::uint16_t*>(data)[index]);
      case DType::bf16:
        return widen_bf16(static_cast<const std::uint16_t*>(data)[index]);
      case DType::f32:
        break;
    }
    return static_cast<const float*>(data)[index];
  }
};

}  // namespace truekeel::select
