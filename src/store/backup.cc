// SPDX-License-Identifier: Apache-2.0
#include "store/backup.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <utility>

namespace truekeel::store {
namespace {

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
using Handle = std::unique_ptr<sqlite3, Close>;

constexpr int kBusyMs = 10'000;

Result<Handle> open(const std::string& path, int flags) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Handle handle(raw);
  if (code != SQLITE_OK) {
    return fail(ErrorCode::unavailable, fmt::format("cannot open '{}': {}", path, sqlite3_errmsg(raw)));
  }
  sqlite3_busy_timeout(raw, kBusyMs);
  return handle;
}

/// In one step: the lock on the source is held meanwhile, so that no writer makes it begin anew.
Result<void> copy(sqlite3* from, sqlite3* to) {
  sqlite3_backup* backup = sqlite3_backup_init(to, "main", from, "main");
  if (backup != nullptr) {
    sqlite3_backup_step(backup, -1);
    sqlite3_backup_finish(backup);
  }
  if (sqlite3_errcode(to) != SQLITE_OK) return fail(ErrorCode::unavailable, sqlite3_errmsg(to));
  return {};
}

}  // namespace

Result<void> back_up(const std::string& from, const std::string& to) {
  std::error_code error;
  if (!std::filesystem::exists(from, error)) {
    return fail(ErrorCode::not_found, fmt::format("there is no store '{}'", from));
  }
  if (std::filesystem::exists(to, error)) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is there already", to));
  }
  auto source = open(from, SQLITE_OPEN_READONLY);
  if (!source) return std::unexpected(source.error());
  // Beside its place first: a copy that was cut must not look like a backup.
  const std::string beside = to + ".new";
  std::filesystem::remove(beside, error);
  auto copied = [&]() -> Result<void> {
    auto target = open(beside, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (!target) return std::unexpected(target.error());
    using std::filesystem::perms;
    std::filesystem::permissions(beside, perms::owner_read | perms::owner_write, error);
    return copy(source->get(), target->get());
  }();
  if (copied) {
    std::filesystem::rename(beside, to, error);
    if (error)
      copied = fail(ErrorCode::unavailable, fmt::format("cannot write '{}': {}", to, error.message()));
  }
  if (!copied) std::filesystem::remove(beside, error);
  return copied;
}

}  // namespace truekeel::store
