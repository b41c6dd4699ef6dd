// SPDX-License-Identifier: Apache-2.0
// How the fast paths see a row: as blocks of 256 elements, each of 16 strided groups of 16.
// Thread safety: plain values.
// Invariants: every block may be read whole (the last one lies in a buffer, padded with -inf); element e of a
// block belongs to group e % 16. The layout is the same for every vector length.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "select/key.h"

namespace truekeel::select {

inline constexpr std::uint32_t kBlock = 256, kGroups = 16;

/// A logit as a signed integer in the order of the values: the form in which vectors compare fast. Both zeros
/// are 0.
using Ordinal = std::int32_t;

inline constexpr Ordinal kInfinityOrdinal = 0x7f800000, kForbiddenOrdinal = -kInfinityOrdinal;
inline constexpr Ordinal kLeastNormalOrdinal = 0x00800000;

[[nodiscard]] constexpr Ordinal ordinal_of(float value) {
  const auto bits = std::bit_cast<std::int32_t>(value);
  return bits < 0 ? -(bits & 0x7fffffff) : bits;
}

[[nodiscard]] constexpr float value_of_ordinal(Ordinal ordinal) {
  return std::bit_cast<float>(ordinal < 0 ? static_cast<std::uint32_t>(-ordinal) | kSignBit
                                          : static_cast<std::uint32_t>(ordinal));
}

[[nodiscard]] constexpr Key key_of_ordinal(Ordinal ordinal) { return key_of(value_of_ordinal(ordinal)); }

struct Blocks {
  const std::byte* data = nullptr;
  const std::byte* tail = nullptr;  ///< the last block when size is no multiple of 256
  std::uint32_t size = 0;
  DType dtype = DType::f32;

  [[nodiscard]] std::uint32_t count() const { return (size + kBlock - 1) / kBlock; }
  [[nodiscard]] const std::byte* operator[](std::uint32_t block) const {
    return block < size / kBlock ? data + static_cast<std::size_t>(block) * kBlock * bytes_of(dtype) : tail;
  }
  [[nodiscard]] Row row() const { return {data, size, dtype}; }
};

/// Room for one padded block of any type.
using TailBuffer = std::span<std::byte, kBlock * sizeof(float)>;

/// The blocks of a row, which is borrowed with the buffer.
[[nodiscard]] Blocks blocks_of(const Row& row, TailBuffer tail);

/// The blocks of a row that lies padded already. Requires: values holds whole blocks.
[[nodiscard]] inline Blocks padded_blocks(std::span<const float> values, std::uint32_t size) {
  const auto* data = reinterpret_cast<const std::byte*>(values.data());
  return {data, data + static_cast<std::size_t>(size / kBlock) * kBlock * sizeof(float), size, DType::f32};
}

}  // namespace truekeel::select
