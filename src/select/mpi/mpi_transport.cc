// SPDX-License-Identifier: Apache-2.0
#include "select/mpi/mpi_transport.h"

namespace truekeel::select {

MpiTransport::MpiTransport(MPI_Comm communicator) {
  MPI_Comm_dup(communicator, &communicator_);
  MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN);
  int rank = 0, size = 0;
  MPI_Comm_rank(communicator_, &rank);
  MPI_Comm_size(communicator_, &size);
  rank_ = static_cast<std::uint32_t>(rank);
  size_ = static_cast<std::uint32_t>(size);
}

MpiTransport::~MpiTransport() { MPI_Comm_free(&communicator_); }

bool MpiTransport::all_gather(std::span<const std::byte> own, std::span<std::byte> all) {
  const int count = static_cast<int>(own.size());
  return MPI_Allgather(own.data(), count, MPI_BYTE, all.data(), count, MPI_BYTE, communicator_) ==
         MPI_SUCCESS;
}

bool MpiTransport::all_reduce_sum(std::span<std::uint64_t> values) {
  return MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_UINT64_T, MPI_SUM,
                       communicator_) == MPI_SUCCESS;
}

bool MpiTransport::exclusive_scan(std::uint64_t& value) {
  const std::uint64_t own = value;
  value = 0;  // MPI leaves it as it was at rank 0
  return MPI_Exscan(&own, &value, 1, MPI_UINT64_T, MPI_SUM, communicator_) == MPI_SUCCESS;
}

bool MpiTransport::broadcast(std::span<std::byte> bytes, std::uint32_t root) {
  return MPI_Bcast(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, static_cast<int>(root),
                   communicator_) == MPI_SUCCESS;
}

}  // namespace truekeel::select
