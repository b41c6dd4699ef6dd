// SPDX-License-Identifier: Apache-2.0
#include "select/edits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/edits.cc"
#include <hwy/foreach_target.h>

#include <cstring>

#include "base/assert.h"
#include "select/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {

void widen(const Blocks& blocks, float* out) {
  with_type(blocks.dtype, [&]<class E>(const E*) {
    for (std::uint32_t b = 0; b < blocks.count(); ++b) {
      const auto* block = reinterpret_cast<const E*>(blocks[b]);
      for (std::uint32_t i = 0; i < kBlock; i += lanes())
        hn::StoreU(load(block + i), Floats(), out + static_cast<std::size_t>(b) * kBlock + i);
    }
  });
}

/// Writes -inf where the bit is 0. Requires: values may be written up to the next multiple of 64.
void forbid(const std::uint64_t* allowed, std::uint32_t words, float* values) {
  static_assert(std::endian::native == std::endian::little);
  const Floats d;
  for (std::uint32_t word = 0; word < words; ++word) {
    if (allowed[word] == ~0ull) continue;
    for (std::uint32_t i = 0; i < 64; i += lanes()) {
      std::uint8_t bits[8];
      const std::uint64_t shifted = allowed[word] >> i;
      std::memcpy(bits, &shifted, sizeof bits);
      float* const at = values + static_cast<std::size_t>(word) * 64 + i;
      const auto kept = hn::LoadMaskBits(d, bits);
      hn::StoreU(hn::IfThenElse(kept, hn::LoadU(d, at), hn::Set(d, value_of(kForbidden))), d, at);
    }
  }
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace truekeel::select {
namespace {

HWY_EXPORT(widen);
HWY_EXPORT(forbid);

void penalise(const Params& params, std::span<float> values) {
  for (const TokenCount& entry : params.counts) {
    float x = values[entry.id];
    if (entry.repeated) x = x > 0 ? x / params.repetition : x * params.repetition;
    const float present = entry.counted > 0 ? params.presence : 0;
    values[entry.id] = x - (static_cast<float>(entry.counted) * params.frequency + present);
  }
}

}  // namespace

Blocks apply_edits(const Blocks& blocks, const Params& params, std::span<float> edited) {
  const std::size_t padded = static_cast<std::size_t>(blocks.count()) * kBlock;
  TK_ASSERT(edited.size() >= padded);
  HWY_DYNAMIC_DISPATCH(widen)(blocks, edited.data());
  for (const Op op : params.chain.ops()) {
    if (op == Op::bias)
      for (const TokenBias& entry : params.bias) edited[entry.id] += entry.bias;
    if (op == Op::penalties) penalise(params, edited);
    if (op == Op::mask && !params.allowed.empty())
      HWY_DYNAMIC_DISPATCH(forbid)(params.allowed.data(), (blocks.size + 63) / 64, edited.data());
  }
  const auto* data = reinterpret_cast<const std::byte*>(edited.data());
  return {data, data + (padded - kBlock) * sizeof(float), blocks.size, DType::f32};
}

}  // namespace truekeel::select
#endif
