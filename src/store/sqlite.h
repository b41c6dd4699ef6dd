// SPDX-License-Identifier: Apache-2.0
// SQLite's C interface with owners and errors as values; for sqlite_store.cc and its tests.
// Thread safety: a database and its statements serve one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace truekeel::store {

/// One prepared statement; binding starts at the first parameter after each reset.
class Statement {
 public:
  Statement(sqlite3* database, std::string_view sql);

  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view text);  ///< copied

  /// True when there is a row. Errors with SQLite's words.
  [[nodiscard]] Result<bool> step();
  /// Runs to the end and resets.
  [[nodiscard]] Result<void> run();
  void reset();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view text(int column) const;  ///< until the next step

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_ = 0;
};

class Database {
 public:
  [[nodiscard]] static Result<Database> open(const std::string& path);

  [[nodiscard]] Result<void> run(const std::string& sql);
  [[nodiscard]] Statement prepare(std::string_view sql) { return {database_.get(), sql}; }
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] std::int64_t rows_changed() const;  ///< by the last statement that ran

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit Database(sqlite3* database) : database_(database) {}
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace truekeel::store
