// SPDX-License-Identifier: Apache-2.0
// Threads that hold a part of the vocabulary each and select together, as the shards of a large model do.
// Thread safety: one caller at a time. Invariant: the caller is shard 0; between calls the others sleep.
#pragma once

#include <barrier>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "select/local_transport.h"
#include "select/shards.h"

namespace truekeel::worker {

class ShardTeam {
 public:
  /// Requires: shards > 0. More shards than tokens leave some with nothing.
  ShardTeam(std::uint32_t vocabulary, std::uint32_t shards);
  ~ShardTeam();
  ShardTeam(const ShardTeam&) = delete;
  ShardTeam& operator=(const ShardTeam&) = delete;

  /// As select::select_batch(), with params and out for every row; full may be empty.
  void select(const select::Batch& batch, std::span<const select::Params> params,
              std::span<const select::Draw> draws, std::span<select::Outcome> out,
              std::span<select::FullRecord> full);

 private:
  struct Task {
    select::Batch batch;
    std::span<const select::Params> params;
    std::span<const select::Draw> draws;
    std::span<select::Outcome> out;
    std::span<select::FullRecord> full;
  };

  void serve(std::uint32_t rank);
  void select_part(std::uint32_t rank);

  const std::uint32_t vocabulary_;
  select::LocalGroup group_;
  std::vector<select::ShardWorkspace> workspaces_;  // by rank
  std::barrier<> gate_;                             // passed before and after each task
  Task task_;                                       // written before the gate, read behind it
  bool ending_ = false;                             // likewise
  std::vector<std::thread> threads_;                // last: they use the others
};

}  // namespace truekeel::worker
