// SPDX-License-Identifier: Apache-2.0
// Run by mpirun: random rows in shards over all ranks give the tokens of the rows in one piece, mixed dtypes
// are refused, and a failed call comes back. Exit code 1 on any rank when not.
#include <cstdio>

#include "select/mpi/mpi_transport.h"
#include "select/rounding.h"
#include "select/shards.h"
#include "select/test_rows.h"

namespace truekeel::select {
namespace {

/// Rank r of n has the tokens from size r^2 / n^2 on: uneven, and in short rows sometimes empty.
std::uint32_t begin_of(std::uint32_t rank, std::uint32_t ranks, std::uint32_t size) {
  return static_cast<std::uint32_t>(std::uint64_t{size} * rank * rank / (std::uint64_t{ranks} * ranks));
}

bool check_row(std::uint64_t seed, Transport& transport) {
  PhiloxStream random(seed, 9);
  const auto size = 1 + static_cast<std::uint32_t>(random.below(seed % 10 == 0 ? 30000 : 2000));
  const OwnedRow row =
      make_row(random, static_cast<Shape>(random.below(kShapes)), size, static_cast<DType>(random.below(3)));
  const OwnedParams owned = make_params(random, size);
  const Draw draw{random.next()};
  const std::uint32_t begin = begin_of(transport.rank(), transport.size(), size);
  const std::uint32_t end = begin_of(transport.rank() + 1, transport.size(), size);
  const auto* data = static_cast<const std::byte*>(row.row().data) + begin * bytes_of(row.dtype);
  Workspace workspace(size);
  ShardWorkspace shard_workspace(size);
  FullRecord expected_full, full;
  const Outcome expected = select(row.row(), owned.params, draw, workspace, &expected_full);
  const Outcome outcome = select_shard({{data, end - begin, row.dtype}, begin, size}, owned.params, draw,
                                       transport, shard_workspace, {}, &full);
  const bool equal = to_string(outcome) == to_string(expected) && (!expected || full == expected_full);
  if (!equal)
    std::fprintf(stderr, "rank %u, seed %llu: %s, expected %s\n", transport.rank(),
                 static_cast<unsigned long long>(seed), to_string(outcome).c_str(),
                 to_string(expected).c_str());
  return equal;
}

bool check_mixed_types(Transport& transport) {
  const std::vector<float> wide(4);
  const std::vector<std::uint16_t> narrow(4);
  const bool odd = transport.rank() == transport.size() - 1;
  const Row row = odd ? Row{narrow.data(), 4, DType::bf16} : Row{wide.data(), 4, DType::f32};
  ShardWorkspace workspace(4 * transport.size());
  const Outcome outcome =
      select_shard({row, 4 * transport.rank(), 4 * transport.size()}, {}, {}, transport, workspace);
  const std::uint64_t last = 1ull << (transport.size() - 1);
  return transport.size() == 1 ||
         (!outcome && outcome.error() == Failure{Fault::shard_dtypes_differ, 0, Failure::kNoId, last});
}

/// A root that is no rank: MPI's own handler would end the program here.
bool check_failure(Transport& transport) {
  std::byte byte{};
  return !transport.broadcast({&byte, 1}, transport.size());
}

}  // namespace
}  // namespace truekeel::select

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  bool good = true;
  {
    truekeel::select::MpiTransport transport(MPI_COMM_WORLD);
    for (std::uint64_t seed = 0; seed < 200; ++seed)
      good = truekeel::select::check_row(seed, transport) && good;
    good = truekeel::select::check_mixed_types(transport) && good;
    good = truekeel::select::check_failure(transport) && good;
    if (transport.rank() == 0) std::printf("%u ranks, 200 rows\n", transport.size());
  }
  MPI_Finalize();
  return good ? 0 : 1;
}
