// SPDX-License-Identifier: Apache-2.0
// A run's report, for people, programs and test dashboards. Thread safety: pure functions.
#pragma once

#include <string>

#include "conformance/kit.h"

namespace truekeel::conformance {

/// Failures first with their smallest example, then what the semantics leave open, then the count of what
/// passed by family, with its power. Ends with one sentence of judgement.
[[nodiscard]] std::string text_report(const Report& report);

/// One object: semantics, bounds, every check with what was seen, its power, and the example if it failed.
[[nodiscard]] std::string json_report(const Report& report);

/// JUnit: one test case a check; observed ones are skipped, with what was seen as the message.
[[nodiscard]] std::string junit_report(const Report& report);

}  // namespace truekeel::conformance
