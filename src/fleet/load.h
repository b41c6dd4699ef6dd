// SPDX-License-Identifier: Apache-2.0
// How much a pool's endpoints may be given: a bound on the load of each beside the others, a limit of calls
// under way, a queue before them. Thread safety: pure functions and values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/time.h"

namespace truekeel::fleet {

struct LoadSettings {
  std::uint32_t bound_milli = 1500;  ///< of the fair share, in thousandths; 0: no bound
  std::uint32_t max_in_flight = 0;   ///< calls under way at each endpoint; 0: no limit
  std::uint32_t queue_max = 100;     ///< calls that wait when all endpoints are at that limit
  Duration queue_timeout = std::chrono::seconds(30);

  bool operator==(const LoadSettings&) const = default;
};

/// So many calls are never too many for one endpoint: where few are under way, a warm cache is worth more
/// than balance, and shares of one or two calls would scatter every session.
inline constexpr std::uint32_t kFewCalls = 4;

struct MemberLoad {
  std::uint32_t in_flight = 0;
  std::uint32_t weight_milli = 1000;
};

/// Which members have their bound of calls already: c times the share that their weight gives them of all
/// calls under way and the one to be placed (consistent hashing with bounded loads; Mirrokni, Thorup,
/// Zadimoghaddam, 2018), at least kFewCalls. Never all of them where c >= 1: the bounds then add up to more
/// than the calls there are. In integers, so that replicas with equal loads agree. Requires: bound_milli is 0
/// or >= 1000.
[[nodiscard]] std::vector<bool> over_bound(std::span<const MemberLoad> members, std::uint32_t bound_milli);

}  // namespace truekeel::fleet
