// SPDX-License-Identifier: Apache-2.0
#include "select/edits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/edits.cc"
#include <hwy/foreach_target.h>

#include <algorithm>
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

/// Writes -inf where the bit of first_id + i is 0. Requires: values may be written up to a multiple of 64.
void forbid(std::span<const std::uint64_t> allowed, std::uint32_t first_id, std::uint32_t size,
            float* values) {
  static_assert(std::endian::native == std::endian::little);
  const Floats d;
  const std::uint32_t shift = first_id % 64;
  for (std::uint32_t begin = 0; begin < size; begin += 64) {
    const std::size_t word = (first_id + begin) / 64;
    std::uint64_t bits = allowed[word] >> shift;
    if (shift != 0 && word + 1 < allowed.size()) bits |= allowed[word + 1] << (64 - shift);
    if (bits == ~0ull) continue;
    for (std::uint32_t i = 0; i < 64; i += lanes()) {
      std::uint8_t lane_bits[8];
      const std::uint64_t shifted = bits >> i;
      std::memcpy(lane_bits, &shifted, sizeof lane_bits);
      float* const at = values + begin + i;
      const auto kept = hn::LoadMaskBits(d, lane_bits);
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

/// The part of a list with ascending ids that lies in [first_id, first_id + size).
template <class Entry>
std::span<const Entry> part_of(std::span<const Entry> entries, std::uint32_t first_id, std::uint32_t size) {
  const auto begin = std::ranges::lower_bound(entries, first_id, {}, &Entry::id);
  const auto end = std::ranges::lower_bound(begin, entries.end(), first_id + size, {}, &Entry::id);
  return {begin, end};
}

void penalise(const Params& params, std::uint32_t first_id, std::uint32_t size, std::span<float> values) {
  for (const TokenCount& entry : part_of(params.counts, first_id, size)) {
    float x = values[entry.id - first_id];
    if (entry.repeated != 0) x = x > 0 ? x / params.repetition : x * params.repetition;
    const float present = entry.counted > 0 ? params.presence : 0;
    values[entry.id - first_id] = x - (static_cast<float>(entry.counted) * params.frequency + present);
  }
}

}  // namespace

Blocks apply_edits(const Blocks& blocks, const Params& params, std::uint32_t first_id,
                   std::span<float> edited) {
  TK_ASSERT(edited.size() >= static_cast<std::size_t>(blocks.count()) * kBlock);
  HWY_DYNAMIC_DISPATCH(widen)(blocks, edited.data());
  for (const Op op : params.chain.ops()) {
    if (op == Op::bias)
      for (const TokenBias& entry : part_of(params.bias, first_id, blocks.size))
        edited[entry.id - first_id] += entry.bias;
    if (op == Op::penalties) penalise(params, first_id, blocks.size, edited);
    if (op == Op::mask && !params.allowed.empty())
      HWY_DYNAMIC_DISPATCH(forbid)(params.allowed, first_id, blocks.size, edited.data());
  }
  return padded_blocks(edited, blocks.size);
}

}  // namespace truekeel::select
#endif
