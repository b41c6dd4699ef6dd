// SPDX-License-Identifier: Apache-2.0
#include "select/buffers.h"

namespace truekeel::select {
namespace {

/// Hands out aligned arrays one after the other; without memory it only measures.
class Layout {
 public:
  explicit Layout(std::byte* memory) : memory_(memory) {}

  template <class T>
  std::span<T> array(std::size_t count) {
    const std::size_t at = used_;
    used_ += (count * sizeof(T) + Buffers::kAlignment - 1) / Buffers::kAlignment * Buffers::kAlignment;
    if (memory_ == nullptr) return {};
    return {reinterpret_cast<T*>(memory_ + at), count};
  }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  std::byte* memory_;
  std::size_t used_ = 0;
};

Buffers lay_out(Layout& layout, std::uint32_t vocabulary) {
  const std::size_t blocks = (static_cast<std::size_t>(vocabulary) + kBlock - 1) / kBlock;
  const std::size_t padded = blocks * kBlock, slack = padded + kSlack;
  Buffers buffers;
  buffers.vocabulary = vocabulary;
  buffers.tail = layout.array<std::byte>(kBlock * sizeof(float)).data();
  buffers.edited = layout.array<float>(padded);
  buffers.groups = layout.array<Ordinal>(blocks * kGroups);
  buffers.block_mass = layout.array<std::uint64_t>(blocks);
  buffers.list.ordinals = layout.array<Ordinal>(slack).data();
  buffers.list.ids = layout.array<std::uint32_t>(slack).data();
  buffers.scratch.ordinals = layout.array<Ordinal>(slack);
  buffers.scratch.weights = layout.array<std::uint64_t>(slack);
  return buffers;
}

}  // namespace

std::size_t Buffers::bytes(std::uint32_t vocabulary) {
  Layout layout(nullptr);
  (void)lay_out(layout, vocabulary);
  return layout.used();
}

Buffers Buffers::place(std::byte* memory, std::uint32_t vocabulary) {
  Layout layout(memory);
  return lay_out(layout, vocabulary);
}

}  // namespace truekeel::select
