// SPDX-License-Identifier: Apache-2.0
// Reading the configuration from disk, for every command that takes one. Thread safety: a pure function.
#pragma once

#include <string>

#include "base/error.h"

namespace truekeel::cli {

/// The file's text, one byte more than a configuration may have at most, so that a longer one is refused.
/// Error::io names the file and the reason.
[[nodiscard]] Result<std::string> read_config_file(const std::string& path);

}  // namespace truekeel::cli
