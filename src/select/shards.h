// SPDX-License-Identifier: Apache-2.0
// Selection from a row that lies in shards, each with a part of the vocabulary.
// Thread safety: each shard's call has its own workspace and endpoint.
// Invariants: every shard returns the same outcome and record, equal to those of the whole row in one piece;
// no shard decides alone; all that is merged are integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "select/select.h"
#include "select/transport.h"

namespace truekeel::select {

/// One shard's part of a row: the tokens [first_id, first_id + row.size) of a vocabulary, possibly none. The
/// parts follow one another in the order of ranks.
struct Shard {
  Row row;
  std::uint32_t first_id = 0;
  std::uint32_t vocabulary = 0;
};

struct ShardOptions {
  /// Shards of different dtypes: false refuses them (Fault::shard_dtypes_differ), true rounds every part to
  /// the coarsest dtype that any shard holds (fp32, then fp16, then bf16), to nearest, ties to even.
  bool round_to_coarsest = false;
};

/// Scratch memory of one shard's thread, made for the whole vocabulary.
class ShardWorkspace {
 public:
  explicit ShardWorkspace(std::uint32_t vocabulary);

  [[nodiscard]] Buffers& buffers() { return workspace_.buffers(); }
  /// Grows to what a group of so many shards needs, then stays.
  [[nodiscard]] std::span<std::byte> messages(std::uint32_t shards);

 private:
  Workspace workspace_;
  std::vector<std::byte> messages_;
};

/// Chooses one token from a row in shards. params, draw and options are the same on every shard; ids in
/// params are those of the whole vocabulary. Collective: every endpoint of the transport calls it. Messages:
/// 48 bytes a shard, and for filtered chains 1 KiB a shard where its best candidates suffice (certified by
/// their mass), else up to three histograms of 16 KiB.
[[nodiscard]] Outcome select_shard(const Shard& shard, const Params& params, Draw draw, Transport& transport,
                                   ShardWorkspace& workspace, ShardOptions options = {},
                                   FullRecord* full = nullptr);

/// The same in memory that the caller laid out. Requires: buffers are for the whole vocabulary; messages are
/// aligned to 8 and have shard_message_bytes(shards).
[[nodiscard]] Outcome select_shard_in(Buffers& buffers, std::span<std::byte> messages, const Shard& shard,
                                      const Params& params, Draw draw, Transport& transport,
                                      ShardOptions options = {}, FullRecord* full = nullptr);

[[nodiscard]] std::size_t shard_message_bytes(std::uint32_t shards);

}  // namespace truekeel::select
