// SPDX-License-Identifier: Apache-2.0
// The gateway's configuration, for commands that need a right one. Thread safety: a function without state.
#pragma once

#include <string>

#include "base/error.h"
#include "fleet/config.h"

namespace truekeel::cli {

/// Every problem of the file as file:line:column: path: what is wrong; what to do.
[[nodiscard]] Result<fleet::Config> read_config(const std::string& file);

}  // namespace truekeel::cli
