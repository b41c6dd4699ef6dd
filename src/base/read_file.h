// SPDX-License-Identifier: Apache-2.0
// Reading a small file as a whole. Thread safety: a pure function.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.h"

namespace truekeel {

/// At most one byte more than `bytes_max`, so that a longer file shows. Error::io names the file and why.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

}  // namespace truekeel
