// SPDX-License-Identifier: Apache-2.0
#include "fleet/load.h"

#include "base/assert.h"
#include "base/philox.h"

namespace truekeel::fleet {

std::vector<bool> over_bound(std::span<const MemberLoad> members, std::uint32_t bound_milli) {
  constexpr std::uint32_t kOne = 1000;
  TK_ASSERT(bound_milli == 0 || bound_milli >= kOne);
  std::vector<bool> over(members.size(), false);
  if (bound_milli == 0) return over;
  std::uint64_t calls = 1, weights = 0;
  for (const MemberLoad& member : members) {
    calls += member.in_flight;
    weights += member.weight_milli;
  }
  const uint128 bound = static_cast<uint128>(bound_milli) * calls;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const MemberLoad& member = members[i];
    over[i] = member.in_flight >= kFewCalls &&
              static_cast<uint128>(member.in_flight) * weights * kOne >= bound * member.weight_milli;
  }
  return over;
}

}  // namespace truekeel::fleet
