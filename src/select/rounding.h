// SPDX-License-Identifier: Apache-2.0
// Rounding of fp32 values to what a coarser type can hold. Thread safety: pure functions.
#pragma once

#include <span>

#include "select/key.h"

namespace truekeel::select {

/// To nearest, ties to even; NaN stays NaN, what overflows becomes infinite.
[[nodiscard]] float round_to(DType dtype, float value);
void round_all_to(DType dtype, std::span<float> values);

}  // namespace truekeel::select
