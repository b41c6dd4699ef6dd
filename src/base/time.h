// SPDX-License-Identifier: Apache-2.0
// Time types. The core never reads a clock: whoever calls it passes an Instant.
#pragma once

#include <chrono>

namespace truekeel {

using Duration = std::chrono::nanoseconds;

/// A point on a clock that never goes back; only differences have a meaning.
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// A point in civil time, for records that people read.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

}  // namespace truekeel
