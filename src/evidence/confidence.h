// SPDX-License-Identifier: Apache-2.0
// Exact bounds on an unknown rate from a count. Source: Clopper and Pearson, Biometrika 1934.
// Thread safety: pure functions.
#pragma once

#include <cstdint>

namespace truekeel::evidence {

/// The rate that exceeds the true one with probability at least `confidence`, after `events` in `items`
/// items; the number of items must not depend on the events. Without events it is 1 - (1 - c)^(1/n), about
/// ln(1 / (1 - c)) / n. Requires: events <= items, 0 < confidence < 1. Without items: 1.
[[nodiscard]] double rate_upper_bound(std::uint64_t events, std::uint64_t items, double confidence);

/// The rate that the true one exceeds with probability at least `confidence`.
[[nodiscard]] double rate_lower_bound(std::uint64_t events, std::uint64_t items, double confidence);

/// The expectation that exceeds the true one with probability at least `confidence` after a Poisson count.
[[nodiscard]] double count_upper_bound(std::uint64_t events, double confidence);

}  // namespace truekeel::evidence
