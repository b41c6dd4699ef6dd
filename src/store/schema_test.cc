// SPDX-License-Identifier: Apache-2.0
// Older databases that are brought up to date: whole or not at all, whatever comes between.
#include "store/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "base/philox.h"
#include "base/test_folder.h"
#include "incident/incident_json.h"
#include "store/sqlite_store.h"
#include "store/test_items.h"

namespace truekeel::store {
namespace {

using testing::ElementsAre;

constexpr int kRequests = 300;

std::string id_of(int n) { return "req_" + std::to_string(n); }

/// A database of schema 2, with requests.
void make_old(const std::string& path) {
  auto database = Database::open(path).value();
  ASSERT_TRUE(database.run("PRAGMA journal_mode = WAL") && migrate(database, 2));
  ASSERT_TRUE(database.run("BEGIN"));
  for (int n = 0; n < kRequests; ++n) {
    const auto record = test_record(id_of(n));
    auto insert = database.prepare("INSERT INTO requests (id, at_ms, json) VALUES (?, ?, ?)");
    insert.bind(record.id).bind(record.at.time_since_epoch().count()).bind(incident::to_json(record));
    ASSERT_TRUE(insert.run());
  }
  ASSERT_TRUE(database.run("COMMIT"));
}

void expect_up_to_date(const std::string& path) {
  const auto store = open_sqlite_store(path);
  ASSERT_TRUE(store) << store.error().message;
  for (int n = 0; n < kRequests; ++n) EXPECT_TRUE((*store)->request(id_of(n)).value().has_value()) << n;
  EXPECT_TRUE((*store)->write(std::vector<Item>{test_record("r"), test_change(1)}));
}

/// Tables and indices as SQLite describes them, and the version.
std::vector<std::string> described(const std::string& path) {
  auto database = Database::open(path).value();
  std::vector<std::string> lines;
  auto query = database.prepare("SELECT name || coalesce(sql, '') FROM sqlite_schema ORDER BY name");
  while (query.step().value()) lines.emplace_back(query.text(0));
  auto version = database.prepare("PRAGMA user_version");
  EXPECT_TRUE(version.step().value());
  lines.push_back(std::to_string(version.integer(0)));
  return lines;
}

TEST(Schema, NothingIsLeftOfAnOlderOne) {
  const TestFolder folder;
  make_old(folder.file("store.db"));
  ASSERT_TRUE(open_sqlite_store(folder.file("store.db")));
  auto database = Database::open(folder.file("store.db")).value();
  auto query = database.prepare("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY name");
  std::vector<std::string> names;
  while (query.step().value()) names.emplace_back(query.text(0));
  EXPECT_THAT(names, ElementsAre("changes", "changes_at", "incidents", "request_batches", "request_ids"));
}

TEST(Schema, AStepThatFailsIsTakenBack) {
  const TestFolder folder;
  const auto file = folder.file("store.db");
  make_old(file);
  auto database = Database::open(file).value();
  ASSERT_TRUE(database.run("CREATE TABLE request_ids (in_the_way)"));
  const auto before = described(file);
  EXPECT_FALSE(migrate(database, kSchemaVersion));
  EXPECT_FALSE(database.in_transaction());
  EXPECT_EQ(described(file), before);
}

TEST(Schema, AStepThatFindsNoRoomChangesNothingAndIsMadeLater) {
  const TestFolder folder;
  const auto file = folder.file("store.db");
  make_old(file);
  const auto before = described(file);
  const auto opened = open_sqlite_store(file, {.pages_max = 1});  // no more than there are
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::unavailable);
  EXPECT_EQ(described(file), before);
  expect_up_to_date(file);
}

TEST(Schema, AStepThatIsKilledIsMadeLater) {
  constexpr std::uint64_t kSeed = 7;
  constexpr int kMeasured = 5;
  constexpr int kRounds = 40;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  PhiloxStream random(kSeed);
  auto whole = std::chrono::microseconds::max();  // at best, so that a slow moment spares nobody
  int killed = 0;
  for (int round = 0; round < kRounds; ++round) {
    const TestFolder folder;
    const auto file = folder.file("store.db");
    make_old(file);
    const auto begin = std::chrono::steady_clock::now();
    const pid_t child = fork();
    if (child == 0) _exit(open_sqlite_store(file) ? 0 : 1);
    if (round >= kMeasured) {
      std::this_thread::sleep_for(whole * random.below(1000) / 1000);
      kill(child, SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    killed += WIFSIGNALED(status);
    const auto took = std::chrono::ceil<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
    if (round < kMeasured) whole = std::min(whole, took);
    expect_up_to_date(file);
  }
  EXPECT_GT(killed, 5) << "else the test shows nothing";
}

}  // namespace
}  // namespace truekeel::store
