// SPDX-License-Identifier: Apache-2.0
// The store in one SQLite file (with its -wal and -shm beside it). Thread safety: as Store.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "store/store.h"

namespace truekeel::store {

struct SqliteOptions {
  std::uint64_t pages_max = 0;  ///< of 4 KiB; 0: as many as the disk has
};

/// Opens or creates the file, brings an older one up to date, and locks it (`path`-lock): two gateways must
/// not share a file; others may read it. Error::unavailable when the file cannot be had,
/// Error::invalid_argument when it is no store of ours or one of a newer version.
[[nodiscard]] Result<std::unique_ptr<Store>> open_sqlite_store(const std::string& path,
                                                               const SqliteOptions& options = {});

/// The schema, one step a version; version n is what the first n steps make.
inline constexpr int kSchemaVersion = 3;

}  // namespace truekeel::store
