// SPDX-License-Identifier: Apache-2.0
// A threshold over all shards by three histograms of keys: when the best candidates do not suffice.
// Thread safety: one call at a time.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "select/buffers.h"
#include "select/threshold.h"
#include "select/transport.h"

namespace truekeel::select {

enum class Measure : std::uint8_t { count, mass };

/// The threshold at which the elements kept by each shard's cut, in all shards together, reach `needed`.
/// Nothing when the transport failed. Requires: 1 <= needed <= measure of all that is kept.
/// Cost: up to three passes over what is kept, a message of 16 KiB each: 11, 11 and 10 bits of the key.
[[nodiscard]] std::optional<Threshold> threshold_over_shards(const Blocks& blocks, const Buffers& buffers,
                                                             Cut cut, Scale scale, Measure measure,
                                                             std::uint64_t needed, Transport& transport);

}  // namespace truekeel::select
