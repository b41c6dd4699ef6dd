// SPDX-License-Identifier: Apache-2.0
// What people and machines changed in the fleet, and which of it may have caused an incident.
// Thread safety: pure functions and values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "incident/traffic.h"

namespace truekeel::incident {

struct Change {
  std::uint64_t number = 0;  ///< given by whoever keeps it; 0: not kept yet
  WallTime at{};             ///< when it took effect
  std::string kind;          ///< deploy, flag, load_balancer, config, other
  std::string summary;       ///< one line
  std::string author = {};   ///< optional
  std::string link = {};     ///< optional
  Traffic touches = {};      ///< empty: perhaps everything

  bool operator==(const Change&) const = default;
};

struct RankedChange {
  Change change;
  double score = 0;            ///< closeness * overlap, in (0, 1]
  double closeness = 0;        ///< in time: 1 at the onset
  double overlap = 0;          ///< endpoints in common, as a share of those in either
  Duration before_onset = {};  ///< negative: the change came after the estimated onset

  bool operator==(const RankedChange&) const = default;
};

inline constexpr std::size_t kRankedChangesMax = 10;

/// The changes that may have caused what began at `onset` in this traffic, likeliest first. Left out are
/// those of more than a week before it, those after `known` (when somebody had noticed), and those that touch
/// other traffic alone. An onset is an estimate, so a change shortly after it stays.
[[nodiscard]] std::vector<RankedChange> rank_changes(std::span<const Change> changes, const Traffic& traffic,
                                                     WallTime onset, WallTime known,
                                                     std::span<const EndpointFacts> fleet);

}  // namespace truekeel::incident
