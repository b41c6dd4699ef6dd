// SPDX-License-Identifier: Apache-2.0
// A routing decision in words, for `x-truekeel-explain`, and the fleet's state for the admin API.
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "fleet/fleet.h"

namespace truekeel::fleet {

/// One line of JSON: class, count, pool, endpoint, epoch and what else decided. `served` is the candidate
/// that answered, `fingerprint` what it said of itself (may be empty). Holds no content.
[[nodiscard]] std::string explain_json(const Decision& decision, const Candidate& served,
                                       std::string_view fingerprint);

/// The body of `GET /api/v1/fleet`: models with their classes, pools with their endpoints and states.
[[nodiscard]] std::string fleet_json(const Fleet& fleet, Instant now);

}  // namespace truekeel::fleet
