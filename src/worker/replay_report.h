// SPDX-License-Identifier: Apache-2.0
// What a replay says about an answer. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/vocabulary.h"
#include "protocol/errors.h"
#include "worker/job.h"
#include "worker/request.h"

namespace truekeel::worker {

/// What a worker computes on.
struct ReplayGround {
  std::string_view numerics;  ///< hash
  bool exact = true;          ///< whether decode steps give the bits of one slot alone
};

/// Why a difference would prove nothing there: a 409 that says what to do; nothing when it would, and in fast
/// mode, which asks for less.
[[nodiscard]] std::optional<protocol::ApiError> replay_refusal(const ReplayRequest& request,
                                                               const ReplayGround& ground);

struct ReplaySettings {
  Mode mode = Mode::replay_exact;
  double tolerance = 0;  ///< differences at a greater distance count; in exact mode all do
};

struct ReplaySummary {
  std::uint32_t tokens = 0, different = 0, counted = 0;
  std::optional<std::uint32_t> first_counted;  ///< position
  std::optional<double> farthest;              ///< distance of a difference

  /// "same" when no difference counts.
  [[nodiscard]] std::string_view verdict() const { return counted == 0 ? "same" : "differs"; }
};

[[nodiscard]] ReplaySummary summarise(std::span<const TokenRecord> records, const ReplaySettings& settings);

/// The answer's parts that say where the replay took place.
struct ReplayHead {
  std::string_view model, fingerprint, numerics;
  bool numerics_checked = false;  ///< whether the request stated them
};

[[nodiscard]] std::string write_replay(const ReplayHead& head, const ReplaySettings& settings,
                                       std::span<const TokenRecord> records, std::uint32_t prompt_tokens,
                                       const engine::Vocabulary& vocabulary);

}  // namespace truekeel::worker
