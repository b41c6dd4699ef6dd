// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "incident/incident_json.h"
#include "incident/record_lines.h"
#include "store/file_lock.h"
#include "store/schema.h"
#include "store/sqlite.h"

namespace truekeel::store {
namespace {

/// Rows of each kind that one prune() removes at most, so that no reader waits long: some 10 ms of work where
/// each holds a full batch of requests.
constexpr std::int64_t kPruneRows = 100;

std::int64_t ms_of(WallTime at) { return at.time_since_epoch().count(); }

/// What is written of requests at once: one row, for a row each would cost ten times as much.
struct RequestBatch {
  std::int64_t count = 0;
  WallTime latest{};
  std::string ids = " ";
  incident::RecordLines lines;

  void add(const incident::RequestRecord& record) {
    ++count;
    latest = std::max(latest, record.at);
    ids.append(record.id).push_back(' ');
    lines.add(record);
  }
};

class SqliteStore final : public Store {
 public:
  SqliteStore(FileLock lock, Database database) : lock_(std::move(lock)), database_(std::move(database)) {}

  Result<void> write(std::span<const Item> batch) override {
    return transaction([&]() -> Result<void> {
      RequestBatch requests;
      for (const auto& item : batch) {
        Result<void> done;
        if (const auto* record = std::get_if<incident::RequestRecord>(&item)) {
          requests.add(*record);
        } else if (const auto* change = std::get_if<incident::Change>(&item)) {
          done = put(*change);
        } else {
          done = put(std::get<incident::Incident>(item));
        }
        if (!done) return done;
      }
      return put(requests);
    });
  }

  Result<bool> prune(const Retention& keep) override {
    const std::pair<const char*, std::int64_t> rules[] = {
        // The highest numbers stay, so that none is given twice.
        {"DELETE FROM incidents WHERE number IN (SELECT number FROM incidents WHERE resolved_ms < ?"
         " AND number < (SELECT max(number) FROM incidents) LIMIT ?)",
         ms_of(keep.incidents_from)},
        {"DELETE FROM changes WHERE number IN (SELECT number FROM changes WHERE at_ms < ?"
         " AND number < (SELECT max(number) FROM changes) LIMIT ?)",
         ms_of(keep.incidents_from)},
        {"DELETE FROM request_batches WHERE last IN (SELECT last FROM request_batches WHERE at_ms < ? LIMIT "
         "?)",
         ms_of(keep.requests_from)},
        {"DELETE FROM request_batches WHERE last IN (SELECT last FROM request_batches"
         " WHERE last <= (SELECT max(last) FROM request_batches) - ? LIMIT ?)",
         static_cast<std::int64_t>(keep.requests_max)}};
    bool more = false;
    const auto done = transaction([&]() -> Result<void> {
      for (const auto& [rule, bound] : rules) {
        auto statement = database_.prepare(rule);
        if (auto pruned = statement.bind(bound).bind(kPruneRows).run(); !pruned) return pruned;
        more |= database_.rows_changed() == kPruneRows;
      }
      return {};
    });
    if (!done) return std::unexpected(done.error());
    return more;
  }

  Result<std::vector<incident::Incident>> incidents(std::size_t most) override {
    const std::lock_guard lock(mutex_);
    auto query = database_.prepare("SELECT json, number FROM incidents ORDER BY number DESC LIMIT ?");
    query.bind(static_cast<std::int64_t>(most));
    return all(query, "incident", incident::incident_from_json);
  }

  Result<std::optional<incident::Incident>> incident(std::uint64_t number) override {
    const std::lock_guard lock(mutex_);
    auto query = database_.prepare("SELECT json FROM incidents WHERE number = ?");
    query.bind(static_cast<std::int64_t>(number));
    return first(query, incident::incident_from_json);
  }

  Result<std::vector<incident::Change>> changes(WallTime from, std::size_t most) override {
    const std::lock_guard lock(mutex_);
    auto query = database_.prepare(
        "SELECT json, number FROM changes WHERE at_ms >= ? ORDER BY at_ms DESC, number DESC LIMIT ?");
    query.bind(ms_of(from)).bind(static_cast<std::int64_t>(most));
    return all(query, "change", incident::change_from_json);
  }

  Result<std::uint64_t> last_change_number() override {
    const std::lock_guard lock(mutex_);
    auto query = database_.prepare("SELECT coalesce(max(number), 0) FROM changes");
    const auto row = query.step();
    if (!row) return std::unexpected(row.error());
    return static_cast<std::uint64_t>(query.integer(0));
  }

  Result<std::optional<incident::RequestRecord>> request(std::string_view id) override {
    const std::lock_guard lock(mutex_);
    auto query = database_.prepare(
        "SELECT lines FROM request_batches WHERE last IN (SELECT last FROM request_batches INDEXED BY "
        "request_ids"
        " WHERE instr(ids, ?)) ORDER BY last DESC");
    query.bind(fmt::format(" {} ", id));
    while (true) {
      const auto row = query.step();
      if (!row) return std::unexpected(row.error());
      if (!*row) return std::nullopt;
      auto found = incident::find_record(query.text(0), id);
      if (!found || *found) return found;
    }
  }

 private:
  template <class Work>
  Result<void> transaction(Work work) {
    const std::lock_guard lock(mutex_);
    if (auto begun = database_.run("BEGIN IMMEDIATE"); !begun) return begun;
    auto done = work();
    if (done) done = database_.run("COMMIT");
    // SQLite itself rolls back at a full disk; at other errors it waits to be told.
    if (!done && database_.in_transaction()) static_cast<void>(database_.run("ROLLBACK"));
    return done;
  }

  Result<void> put(const incident::Incident& value) {
    auto insert =
        database_.prepare("INSERT OR REPLACE INTO incidents (number, json, resolved_ms) VALUES (?, ?, ?)");
    insert.bind(static_cast<std::int64_t>(value.number)).bind(incident::to_json(value));
    if (value.times.resolved) insert.bind(ms_of(*value.times.resolved));
    return insert.run();
  }

  Result<void> put(const incident::Change& value) {
    auto insert = database_.prepare("INSERT OR REPLACE INTO changes (number, at_ms, json) VALUES (?, ?, ?)");
    return insert.bind(static_cast<std::int64_t>(value.number))
        .bind(ms_of(value.at))
        .bind(incident::to_json(value))
        .run();
  }

  Result<void> put(const RequestBatch& batch) {
    if (batch.count == 0) return {};
    auto insert = database_.prepare(
        "INSERT INTO request_batches (last, at_ms, ids, lines)"
        " SELECT coalesce(max(last), 0) + ?, ?, ?, ? FROM request_batches");
    return insert.bind(batch.count).bind(ms_of(batch.latest)).bind(batch.ids).bind(batch.lines.text()).run();
  }

  template <class Parse>
  static auto first(Statement& query, Parse parse)
      -> Result<std::optional<typename decltype(parse(""))::value_type>> {
    const auto row = query.step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::nullopt;
    auto value = parse(query.text(0));
    if (!value) return std::unexpected(value.error());
    return std::move(*value);
  }

  /// Requires: the number of what is read is the second column.
  template <class Parse>
  static auto all(Statement& query, const char* what, Parse parse)
      -> Result<std::vector<typename decltype(parse(""))::value_type>> {
    std::vector<typename decltype(parse(""))::value_type> found;
    while (true) {
      const auto row = query.step();
      if (!row) return std::unexpected(row.error());
      if (!*row) return found;
      auto value = parse(query.text(0));
      if (!value) {
        return fail(value.error().code,
                    fmt::format("{} {} is not readable: {}", what, query.integer(1), value.error().message));
      }
      found.push_back(std::move(*value));
    }
  }

  FileLock lock_;  // held as long as the database is open
  std::mutex mutex_;
  Database database_;  // guarded by mutex_
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const std::string& path, const SqliteOptions& options) {
  // Ours and not SQLite's exclusive mode, which would keep readers such as a backup out, too.
  auto lock = FileLock::take(path + "-lock");
  if (!lock) {
    return fail(lock.error().code, fmt::format("{} (does another gateway use it?)", lock.error().message));
  }
  auto database = Database::open(path);
  if (!database) return std::unexpected(database.error());
  // FULL: an acknowledged batch survives a power cut, too. At light load that is a sync for each item; at
  // heavy load few of them, for the writer takes all that came during the last one.
  std::string settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
  if (options.pages_max > 0) settings += fmt::format("PRAGMA max_page_count = {};", options.pages_max);
  if (auto set = database->run(settings); !set) {
    return fail(ErrorCode::unavailable, fmt::format("{} ('{}')", set.error().message, path));
  }
  if (auto migrated = migrate(*database, kSchemaVersion); !migrated) {
    return fail(migrated.error().code, fmt::format("{} ('{}')", migrated.error().message, path));
  }
  return std::make_unique<SqliteStore>(std::move(*lock), std::move(*database));
}

}  // namespace truekeel::store
