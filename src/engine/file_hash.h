// SPDX-License-Identifier: Apache-2.0
// The identity of a file's content. Thread safety: pure but for reading the file.
#pragma once

#include <string>

#include "base/error.h"

namespace truekeel::engine {

/// XXH3, 128 bits, as 32 hex digits: tells files apart, and is no defence against forgers.
/// Error::io when the file cannot be read. Cost: about 0.1 s for each GB that is in memory already.
[[nodiscard]] Result<std::string> hash_file(const std::string& path);

}  // namespace truekeel::engine
