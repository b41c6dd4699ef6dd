// SPDX-License-Identifier: Apache-2.0
#include "worker/shard_team.h"

namespace truekeel::worker {

ShardTeam::ShardTeam(std::uint32_t vocabulary, std::uint32_t shards)
    : vocabulary_(vocabulary), group_(shards), gate_(shards) {
  workspaces_.reserve(shards);
  for (std::uint32_t rank = 0; rank < shards; ++rank) workspaces_.emplace_back(vocabulary);
  for (std::uint32_t rank = 1; rank < shards; ++rank) threads_.emplace_back([this, rank] { serve(rank); });
}

ShardTeam::~ShardTeam() {
  ending_ = true;
  gate_.arrive_and_wait();
  for (auto& thread : threads_) thread.join();
}

void ShardTeam::select(const select::Batch& batch, std::span<const select::Params> params,
                       std::span<const select::Draw> draws, std::span<select::Outcome> out,
                       std::span<select::FullRecord> full) {
  task_ = {batch, params, draws, out, full};
  gate_.arrive_and_wait();
  select_part(0);
  gate_.arrive_and_wait();
}

void ShardTeam::serve(std::uint32_t rank) {
  while (true) {
    gate_.arrive_and_wait();
    if (ending_) return;
    select_part(rank);
    gate_.arrive_and_wait();
  }
}

/// Every shard comes to the same outcome; the first one's is kept.
void ShardTeam::select_part(std::uint32_t rank) {
  const auto& [batch, params, draws, out, full] = task_;
  const auto first_of = [&](std::uint32_t shard) {
    return static_cast<std::uint32_t>(std::uint64_t{vocabulary_} * shard / workspaces_.size());
  };
  const auto first = first_of(rank), size = first_of(rank + 1) - first;
  select::FullRecord record;
  for (std::uint32_t index = 0; index < batch.rows; ++index) {
    const auto whole = batch.row(index);
    const auto* data = static_cast<const std::byte*>(whole.data) + first * select::bytes_of(whole.dtype);
    auto outcome =
        select::select_shard({{data, size, whole.dtype}, first, vocabulary_}, params[index], draws[index],
                             group_.endpoint(rank), workspaces_[rank], {}, full.empty() ? nullptr : &record);
    if (rank != 0) continue;
    if (!outcome) outcome.error().row = index;
    if (!full.empty()) full[index] = record;
    out[index] = outcome;
  }
}

}  // namespace truekeel::worker
