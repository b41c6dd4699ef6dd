// SPDX-License-Identifier: Apache-2.0
// A consistent copy of a store while others write to it. Thread safety: yes.
#pragma once

#include <string>

#include "base/error.h"

namespace truekeel::store {

/// Copies the SQLite database `from` to the new file `to`, as it is at one moment, also while a gateway runs.
/// On a failure there is no file `to`. Error::invalid_argument when `to` is there already, Error::not_found
/// when `from` is not, Error::unavailable when either cannot be read or written.
[[nodiscard]] Result<void> back_up(const std::string& from, const std::string& to);

}  // namespace truekeel::store
