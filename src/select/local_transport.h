// SPDX-License-Identifier: Apache-2.0
// Shards as threads of one process. Thread safety: each endpoint belongs to one thread; the group outlives
// them.
#pragma once

#include <atomic>
#include <barrier>
#include <cstdint>
#include <memory>
#include <vector>

#include "select/transport.h"

namespace truekeel::select {

/// A group of endpoints. Starts no threads: the caller gives one endpoint to each of its own.
class LocalGroup {
 public:
  explicit LocalGroup(std::uint32_t size);
  ~LocalGroup();

  [[nodiscard]] Transport& endpoint(std::uint32_t rank);
  /// Bytes that endpoints have handed in so far, all together.
  [[nodiscard]] std::uint64_t bytes_sent() const { return bytes_sent_.load(std::memory_order_relaxed); }

 private:
  class Endpoint;

  /// Shows own memory to the others, lets f read theirs, and waits until all have.
  template <class F>
  void exchange(std::uint32_t rank, std::span<const std::byte> own, F&& f);

  std::barrier<> barrier_;
  std::vector<std::span<const std::byte>> shown_;  // by rank; written before the barrier, read after it
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::atomic<std::uint64_t> bytes_sent_ = 0;
};

}  // namespace truekeel::select
