// SPDX-License-Identifier: Apache-2.0
// A natural logarithm with the same bits everywhere. Thread safety: pure function.
#pragma once

namespace truekeel::select {

/// Requires: value is positive, finite and normal. Error below 1e-15 of the result or of 1.
[[nodiscard]] double natural_log(double value);

}  // namespace truekeel::select
