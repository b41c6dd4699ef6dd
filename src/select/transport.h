// SPDX-License-Identifier: Apache-2.0
// What the shards of a row say to each other: collective operations, as MPI and NCCL have them.
// Thread safety: one endpoint a shard, one call at a time. Requires: all endpoints of a group call the same
// operations in the same order with the same sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace truekeel::select {

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  [[nodiscard]] virtual std::uint32_t rank() const = 0;
  [[nodiscard]] virtual std::uint32_t size() const = 0;

  // Each returns false when the transport failed; the values are then undefined.

  /// all becomes the concatenation of every endpoint's own, in the order of ranks.
  [[nodiscard]] virtual bool all_gather(std::span<const std::byte> own, std::span<std::byte> all) = 0;
  [[nodiscard]] virtual bool all_reduce_sum(std::span<std::uint64_t> values) = 0;
  /// value becomes the sum of the values of all lower ranks; 0 at rank 0.
  [[nodiscard]] virtual bool exclusive_scan(std::uint64_t& value) = 0;
  /// Every endpoint's bytes become the root's.
  [[nodiscard]] virtual bool broadcast(std::span<std::byte> bytes, std::uint32_t root) = 0;
};

}  // namespace truekeel::select
