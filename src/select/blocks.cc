// SPDX-License-Identifier: Apache-2.0
#include "select/blocks.h"

#include <cstring>

namespace truekeel::select {
namespace {

constexpr std::uint16_t kForbiddenF16 = 0xfc00, kForbiddenBf16 = 0xff80;

template <class T>
void pad(std::byte* tail, std::size_t used, T value) {
  for (std::size_t i = used; i < kBlock; ++i) std::memcpy(tail + i * sizeof(T), &value, sizeof(T));
}

}  // namespace

Blocks blocks_of(const Row& row, TailBuffer tail) {
  const auto* data = static_cast<const std::byte*>(row.data);
  const std::size_t used = row.size % kBlock, width = bytes_of(row.dtype);
  if (used != 0) {
    std::memcpy(tail.data(), data + (row.size - used) * width, used * width);
    switch (row.dtype) {
      case DType::f32:
        pad(tail.data(), used, value_of(kForbidden));
        break;
      case DType::f16:
        pad(tail.data(), used, kForbiddenF16);
        break;
      case DType::bf16:
        pad(tail.data(), used, kForbiddenBf16);
        break;
    }
  }
  return {data, tail.data(), row.size, row.dtype};
}

}  // namespace truekeel::select
