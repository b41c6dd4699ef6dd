// SPDX-License-Identifier: Apache-2.0
#include "incident/change.h"

#include <algorithm>
#include <cmath>

namespace truekeel::incident {
namespace {

constexpr Duration kLongestBefore = std::chrono::hours(24 * 7);
/// After so long a change is half as likely the cause. Faults are dated by their first evidence, which rare
/// ones take hours to give; the other way round a cause cannot come after its effect, but for a late clock.
constexpr double kHalfBeforeS = 3600, kHalfAfterS = 120;
/// Below this a change explains nothing.
constexpr double kLeastScore = 1e-4;

/// The endpoints in common of both, as a share of those of either.
double overlap_of(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  const auto common = std::ranges::count_if(
      a, [&](const std::string& name) { return std::ranges::find(b, name) != b.end(); });
  const auto either = static_cast<std::ptrdiff_t>(a.size() + b.size()) - common;
  return either == 0 ? 0 : static_cast<double>(common) / static_cast<double>(either);
}

}  // namespace

std::vector<RankedChange> rank_changes(std::span<const Change> changes, const Traffic& traffic,
                                       WallTime onset, WallTime known, std::span<const EndpointFacts> fleet) {
  std::vector<RankedChange> ranked;
  const auto affected = endpoints_of(traffic, fleet);
  for (const auto& change : changes) {
    const Duration before = onset - change.at;
    if (before > kLongestBefore || change.at > known) continue;
    const double seconds = std::chrono::duration<double>(before).count();
    RankedChange item{.change = change, .before_onset = before};
    item.closeness = 1 / (1 + (seconds >= 0 ? seconds / kHalfBeforeS : -seconds / kHalfAfterS));
    if (!excludes(change.touches, traffic))
      item.overlap = overlap_of(endpoints_of(change.touches, fleet), affected);
    item.score = item.closeness * item.overlap;
    if (item.score >= kLeastScore) ranked.push_back(std::move(item));
  }
  std::ranges::sort(ranked, [](const RankedChange& a, const RankedChange& b) {
    return a.score != b.score ? a.score > b.score : a.change.number < b.change.number;
  });
  if (ranked.size() > kRankedChangesMax) ranked.resize(kRankedChangesMax);
  return ranked;
}

}  // namespace truekeel::incident
