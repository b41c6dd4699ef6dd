// SPDX-License-Identifier: Apache-2.0
// The steps that make and upgrade the schema. Thread safety: as the database.
#pragma once

#include "store/sqlite.h"

namespace truekeel::store {

/// Brings the schema to `version`; each step is a transaction of its own, so a crash leaves a whole version.
/// Error::invalid_argument when the file is newer, or not ours.
[[nodiscard]] Result<void> migrate(Database& database, int version);

}  // namespace truekeel::store
