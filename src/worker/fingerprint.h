// SPDX-License-Identifier: Apache-2.0
// What this server is, as a record and as a short name. Thread safety: plain values.
// Invariants: equal settings give equal hashes, on every machine and in every process; two servers whose
// `numerics` agree compute the same bits, whatever the rest.
#pragma once

#include <cstdint>
#include <string>

#include "engine/engine.h"
#include "worker/selector.h"

namespace truekeel::worker {

/// What a server does with the bits, but that they do not depend on.
struct Runtime {
  std::uint32_t width_max = 1;  ///< of a decode step
  std::uint32_t queue = 0;
  std::uint32_t given_piece = 0;  ///< tokens of a score or a fast replay that are computed at once
  std::string replay = {};        ///< "exact" or "fast"
  std::string exact_widths = {};  ///< as measured at the start
};

struct Fingerprint {
  /// tk- and 16 hex digits: 8 of the hash of `numerics`, 4 of `selection`, 4 of `runtime`.
  std::string name;
  std::string numerics;  ///< the hash of that part
  std::string json;      ///< the three parts, each with its fields and its hash
};

[[nodiscard]] Fingerprint make_fingerprint(const engine::EngineInfo& info, const SelectionOptions& selection,
                                           const Runtime& runtime);

}  // namespace truekeel::worker
