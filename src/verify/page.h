// SPDX-License-Identifier: Apache-2.0
// A report as one page of HTML that needs nothing else: no script, no request. Thread safety: pure functions.
#pragma once

#include <string>

#include "verify/report.h"

namespace truekeel::verify {

/// Every distance stands in a table too; whatever a server wrote is escaped.
[[nodiscard]] std::string to_html(const Report& report);

}  // namespace truekeel::verify
