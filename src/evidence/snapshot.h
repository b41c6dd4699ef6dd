// SPDX-License-Identifier: Apache-2.0
// The state of a lattice as bytes, to survive a restart. Versioned, bounded, without content: levels, counts
// and the names of attribute values; accusing items are left out. Thread safety: pure functions.
//
// Only detectors with evidence are kept, the strongest first; the others start afresh, which is lower and so
// keeps the promise. Format (little-endian, doubles and floats as in IEEE 754):
//     magic "TKEV", u32 version, u64 signature of the mixture, u32 cells, u32 tick, u64 entries
//     for each attribute: u32 count, then u16 length and bytes of each name, in the order of the ids
//     u32 peeled slices: u32 depth, 3 u32 terms each
//     u32 nodes, each: slice, u32 first, last, items, u64 tokens, answers, traffic, clients,
//         cells x (f32 SR, f32 CUSUM, u32 onset)
//     u64 XXH3 of all before it
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "evidence/lattice.h"

namespace truekeel::evidence {

inline constexpr std::size_t kSnapshotNodesMax = 1u << 15;
inline constexpr std::size_t kSnapshotBytesMax = 64u << 20;

/// The lattice at this tick with the names of its values. At most kSnapshotNodesMax nodes are kept, those
/// with log G at least a factor of e above a fresh detector with this stake.
[[nodiscard]] std::string save(const Lattice& lattice, const ValueNames& names, Tick tick, double log_stake);

struct Restored {
  Tick tick = 0;
  std::size_t nodes = 0;
};

/// Fills an empty lattice and empty names. Error::invalid_argument, and both left empty, when the bytes are
/// no such snapshot, damaged, of another version, or of another mixture.
[[nodiscard]] Result<Restored> restore(std::string_view bytes, Lattice& lattice, ValueNames& names);

}  // namespace truekeel::evidence
