// SPDX-License-Identifier: Apache-2.0
// The scratch arrays of one call, laid out in memory that the caller owns. Thread safety: one call at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "select/blocks.h"
#include "select/candidates.h"
#include "select/topp.h"

namespace truekeel::select {

struct Buffers {
  std::uint32_t vocabulary = 0;  ///< the longest row they hold
  std::byte* tail = nullptr;
  std::span<float> edited;
  std::span<Ordinal> groups;
  std::span<std::uint64_t> block_mass;
  Candidates list;
  Scratch scratch;

  static constexpr std::size_t kAlignment = 64;

  /// Bytes that place() needs: 26 a token, and some.
  [[nodiscard]] static std::size_t bytes(std::uint32_t vocabulary);
  /// Requires: memory has that many bytes and is aligned.
  [[nodiscard]] static Buffers place(std::byte* memory, std::uint32_t vocabulary);
};

}  // namespace truekeel::select
