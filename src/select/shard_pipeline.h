// SPDX-License-Identifier: Apache-2.0
// One shard's side of a chain: as pipeline.h, with the other shards asked where that is needed.
// Thread safety: one call at a time. Borrows row, buffers and transport for life.
// Invariant: what is kept is a prefix of the order over all shards; every shard holds the same temperature
// and form, and calls the same operations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "select/buffers.h"
#include "select/histogram.h"
#include "select/record.h"
#include "select/transport.h"

namespace truekeel::select {

/// What shards agree on before the chain starts.
struct Agreement {
  Ordinal top = kForbiddenOrdinal;  ///< over all shards
  std::uint32_t top_id = 0;
  std::uint32_t first_id = 0;  ///< of this shard
  std::uint32_t vocabulary = 0;
};

class ShardPipeline {
 public:
  /// Requires: buffers.groups are those of the blocks' survey; messages have message_bytes(shards).
  ShardPipeline(const Blocks& blocks, Agreement agreement, Buffers& buffers, Transport& transport,
                std::span<std::byte> messages);

  /// Room for the messages of so many shards.
  [[nodiscard]] static std::size_t message_bytes(std::uint32_t shards) { return sizeof(Best) * shards; }

  void set_temperature(float temperature);
  // False: the transport failed.
  [[nodiscard]] bool top_k(std::uint32_t k);
  [[nodiscard]] bool top_p(double share);
  void min_p(double share);
  [[nodiscard]] bool draw(std::uint64_t bits, Choice& choice);
  [[nodiscard]] Choice greedy() const;

 private:
  /// How many candidates a shard sends.
  static constexpr std::uint32_t kSent = 128;

  struct Entry {
    Ordinal ordinal;
    std::uint32_t id;
  };
  struct Best {
    std::uint32_t count;
    Ordinal unsent;  ///< no element that was not sent is above this one
    std::array<Entry, kSent> entries;
  };
  struct Part {
    std::uint64_t mass, count;
  };

  void find_best(std::uint32_t wanted, Best& best);
  [[nodiscard]] bool gather_best(std::uint32_t wanted, Ordinal& unsent);
  [[nodiscard]] bool cut_at(Measure measure, std::uint64_t needed);
  [[nodiscard]] Part measure_kept();
  [[nodiscard]] bool draw_over_shards(std::uint64_t bits, Choice& choice);
  [[nodiscard]] std::uint64_t rank_here(Ordinal ordinal, std::uint32_t id) const;

  const Blocks blocks_;
  const Agreement agreement_;
  Buffers& buffers_;
  Transport& transport_;
  const std::span<std::byte> messages_;
  Scale scale_;
  bool listed_ = false;          ///< true: buffers.list holds all that is kept, of all shards
  Cut cut_ = Cut::everything();  ///< if not listed: what is kept of this shard, in its own ids
};

}  // namespace truekeel::select
