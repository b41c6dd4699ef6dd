// SPDX-License-Identifier: Apache-2.0
// JSON of the kit's values, shared by the line protocol and the report. Thread safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "conformance/sampler.h"

namespace truekeel::conformance {

/// Numbers that JSON lacks are the strings "nan", "inf" and "-inf"; 64-bit numbers are decimal strings.
[[nodiscard]] nlohmann::ordered_json json_of(const Row& row);
[[nodiscard]] nlohmann::ordered_json json_of(const Semantics& semantics);

}  // namespace truekeel::conformance
