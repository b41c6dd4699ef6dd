// SPDX-License-Identifier: Apache-2.0
// What check-config says about a file, for people and for programs. Thread safety: pure functions.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/config.h"

namespace truekeel::fleet {

using ParsedConfig = std::expected<Config, std::vector<ConfigProblem>>;

/// The meaning and some advice, or every problem as `file:line:column: …`, one a line.
[[nodiscard]] std::string check_text(std::string_view file, const ParsedConfig& parsed);

/// One object: file, valid, problems, advice, models, pools.
[[nodiscard]] std::string check_json(std::string_view file, const ParsedConfig& parsed);

}  // namespace truekeel::fleet
