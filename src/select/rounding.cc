// SPDX-License-Identifier: Apache-2.0
#include "select/rounding.h"

#include <bit>
#include <cmath>

namespace truekeel::select {
namespace {

/// Drops the last bits of the magnitude, to nearest, ties to even. A carry into the exponent is just right.
std::uint32_t drop_bits(std::uint32_t bits, int dropped) {
  const std::uint32_t half = 1u << (dropped - 1), last = bits >> dropped & 1;
  return (bits + (half - 1) + last) >> dropped << dropped;
}

}  // namespace

float round_to(DType dtype, float value) {
  if (dtype == DType::f32 || std::isnan(value)) return value;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (dtype == DType::bf16) return std::bit_cast<float>(drop_bits(bits, 16));
  const float magnitude = std::fabs(value);
  if (magnitude >= 0x1.ffep15f) return std::copysign(INFINITY, value);  // half way from the largest to 2^16
  if (magnitude >= 0x1p-14f) return std::bit_cast<float>(drop_bits(bits, 13));
  // Subnormals of fp16 are multiples of 2^-24: adding 1.5 * 2^-1 leaves just those bits.
  return std::copysign((magnitude + 0.75f) - 0.75f, value);
}

void round_all_to(DType dtype, std::span<float> values) {
  for (float& value : values) value = round_to(dtype, value);
}

}  // namespace truekeel::select
