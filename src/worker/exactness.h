// SPDX-License-Identifier: Apache-2.0
// Whether this model on this machine gives the same bits in every decode width. Thread safety: the engine's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace truekeel::worker {

struct Exactness {
  /// exact[w]: every slot of a decode step of width w had the bits of that slot alone; by width, 0 unused.
  std::vector<bool> exact;

  /// The widest step up to which all are exact, at least 1.
  [[nodiscard]] std::uint32_t width_max() const;
  [[nodiscard]] bool all_exact() const { return width_max() + 1 == exact.size(); }
  /// "1-8", "1-3,5": the exact widths, for people.
  [[nodiscard]] std::string widths() const;
};

/// Steps slots alone and together and compares every bit of every row. One slot's context is long enough that
/// llama.cpp attends to more than its smallest block; the others' are short. Empties all slots.
/// Cost: two prompts of a few hundred tokens and about slots^2 steps. Error when the engine fails.
[[nodiscard]] Result<Exactness> measure_exactness(engine::Engine& engine);

}  // namespace truekeel::worker
