// SPDX-License-Identifier: Apache-2.0
// Shards as ranks of an MPI communicator. A library of its own, so that nobody else needs MPI.
// Thread safety: as the communicator's. MPI is initialised and finalised by the caller; it outlives the
// object.
#pragma once

#include <mpi.h>

#include "select/transport.h"

namespace truekeel::select {

class MpiTransport final : public Transport {
 public:
  /// On a copy of the communicator that reports errors, where MPI's default is to end the program. All ranks
  /// make and destroy their objects together: copies are made and freed collectively.
  explicit MpiTransport(MPI_Comm communicator);
  ~MpiTransport() override;

  [[nodiscard]] std::uint32_t rank() const override { return rank_; }
  [[nodiscard]] std::uint32_t size() const override { return size_; }
  [[nodiscard]] bool all_gather(std::span<const std::byte> own, std::span<std::byte> all) override;
  [[nodiscard]] bool all_reduce_sum(std::span<std::uint64_t> values) override;
  [[nodiscard]] bool exclusive_scan(std::uint64_t& value) override;
  [[nodiscard]] bool broadcast(std::span<std::byte> bytes, std::uint32_t root) override;

 private:
  MPI_Comm communicator_ = MPI_COMM_NULL;
  std::uint32_t rank_ = 0, size_ = 0;
};

}  // namespace truekeel::select
