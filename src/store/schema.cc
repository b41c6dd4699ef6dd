// SPDX-License-Identifier: Apache-2.0
#include "store/schema.h"

#include <fmt/format.h>

#include <array>

#include "store/sqlite_store.h"

namespace truekeel::store {
namespace {

/// "TkSt", so that `file` and we tell a store from another program's database.
constexpr std::int64_t kApplicationId = 0x546b5374;

/// Never edit a step that was released: add one. Times are milliseconds since 1970; `json` has all the rest.
constexpr std::array<const char*, kSchemaVersion> kSteps = {
    // 1: incidents and changes.
    "CREATE TABLE incidents (number INTEGER PRIMARY KEY, resolved_ms INTEGER, json TEXT NOT NULL);"
    "CREATE TABLE changes (number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, json TEXT NOT NULL);"
    "CREATE INDEX changes_at ON changes (at_ms);",
    // 2: requests, in the order of their arrival, so that the oldest million are those with the least rowid.
    "CREATE TABLE requests (row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " at_ms INTEGER NOT NULL, json TEXT NOT NULL);"
    "CREATE INDEX requests_at ON requests (at_ms);",
    // 3: requests in batches, as they are written: their last one's number and latest time, their ids between
    // blanks, and the records as incident/record_lines.h has them. The index is all that a search for an id
    // reads.
    "CREATE TABLE request_batches (last INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, ids TEXT NOT NULL,"
    " lines TEXT NOT NULL);"
    "INSERT INTO request_batches SELECT row, at_ms, ' ' || id || ' ', json FROM requests;"
    "DROP TABLE requests;"
    "CREATE INDEX request_ids ON request_batches (at_ms, ids);",
};

Result<std::int64_t> pragma(Database& database, std::string_view name) {
  auto statement = database.prepare(fmt::format("PRAGMA {}", name));
  const auto row = statement.step();
  if (!row) return std::unexpected(row.error());
  return statement.integer(0);
}

Result<bool> is_empty(Database& database) {
  auto statement = database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1");
  const auto row = statement.step();
  if (!row) return std::unexpected(row.error());
  return !*row;
}

}  // namespace

Result<void> migrate(Database& database, int version) {
  const auto owner = pragma(database, "application_id");
  if (!owner) return std::unexpected(owner.error());
  const auto empty = is_empty(database);
  if (!empty) return std::unexpected(empty.error());
  if (*owner != kApplicationId && !*empty) {
    return fail(ErrorCode::invalid_argument, "the file is a database of another program");
  }
  const auto present = pragma(database, "user_version");
  if (!present) return std::unexpected(present.error());
  if (*present > kSchemaVersion) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the file has schema {}, this program knows up to {}: run the newer program",
                            *present, kSchemaVersion));
  }
  for (auto step = static_cast<int>(*present); step < version; ++step) {
    const auto done = database.run(
        fmt::format("BEGIN IMMEDIATE; {} PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT;",
                    kSteps[static_cast<std::size_t>(step)], kApplicationId, step + 1));
    if (!done) {
      if (database.in_transaction()) static_cast<void>(database.run("ROLLBACK"));
      return done;
    }
  }
  return {};
}

}  // namespace truekeel::store
