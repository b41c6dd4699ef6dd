// SPDX-License-Identifier: Apache-2.0
// How many different sessions there were, without keeping one: a HyperLogLog sketch of keyed hashes.
// Source: Flajolet et al., "HyperLogLog", AofA 2007; linear counting below 2.5 m as there.
// Thread safety: a plain value. Invariant: merging two sketches gives that of both together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace truekeel::incident {

class Distinct {
 public:
  /// 1,024 registers: a standard error of 1.04 / sqrt(1024) = 3.3 %.
  static constexpr std::size_t kRegisters = 1024;

  /// `hash`: 64 uniform bits that only a secret ties to a session.
  void add(std::uint64_t hash);
  void merge(const Distinct& other);
  [[nodiscard]] double estimate() const;

 private:
  std::array<std::uint8_t, kRegisters> ranks_ = {};
};

}  // namespace truekeel::incident
