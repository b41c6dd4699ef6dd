// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite_store.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "base/philox.h"
#include "base/test_folder.h"
#include "incident/incident_json.h"
#include "store/schema.h"
#include "store/test_items.h"

namespace truekeel::store {
namespace {

using testing::HasSubstr;

TEST(SqliteStore, SurvivesAClose) {
  const TestFolder folder;
  ASSERT_TRUE(open_sqlite_store(folder.file("store.db")).value()->write(std::vector<Item>{test_incident(4)}));
  EXPECT_EQ(open_sqlite_store(folder.file("store.db")).value()->incident(4).value(), test_incident(4));
}

TEST(SqliteStore, EveryEarlierSchemaIsBroughtUpToDateWithItsRows) {
  for (int version = 0; version <= kSchemaVersion; ++version) {
    const TestFolder folder;
    {
      auto database = Database::open(folder.file("store.db")).value();
      ASSERT_TRUE(migrate(database, version));
      if (version >= 1) {
        auto insert = database.prepare("INSERT INTO incidents (number, json) VALUES (3, ?)");
        ASSERT_TRUE(insert.bind(incident::to_json(test_incident(3))).run());
      }
      if (version == 2) {
        for (const char* id : {"req_1", "req_2"}) {
          auto insert = database.prepare("INSERT INTO requests (id, at_ms, json) VALUES (?, ?, ?)");
          const auto record = test_record(id);
          const auto at_ms = record.at.time_since_epoch().count();
          ASSERT_TRUE(insert.bind(record.id).bind(at_ms).bind(incident::to_json(record)).run());
        }
      }
    }
    auto store = open_sqlite_store(folder.file("store.db"));
    ASSERT_TRUE(store.has_value()) << "from version " << version << ": " << store.error().message;
    EXPECT_EQ((*store)->incident(3).value().has_value(), version >= 1);
    EXPECT_TRUE((*store)->write(std::vector<Item>{test_incident(5), test_change(1), test_record("r")}));
    if (version != 2) continue;
    EXPECT_EQ((*store)->request("req_1").value(), test_record("req_1"));
    EXPECT_EQ((*store)->request("req_2").value(), test_record("req_2"));
    ASSERT_TRUE((*store)->prune({.requests_max = 2}));
    EXPECT_FALSE((*store)->request("req_1").value().has_value());
    EXPECT_TRUE((*store)->request("r").value().has_value());
    ASSERT_TRUE((*store)->prune({.requests_from = incident::kTestStart + std::chrono::hours(1)}));
    EXPECT_FALSE((*store)->request("req_2").value().has_value()) << "its time came along, too";
  }
}

TEST(SqliteStore, ANewerSchemaIsRefusedAndLeftAlone) {
  const TestFolder folder;
  ASSERT_TRUE(open_sqlite_store(folder.file("store.db")));
  ASSERT_TRUE(Database::open(folder.file("store.db")).value().run("PRAGMA user_version = 99"));
  const auto opened = open_sqlite_store(folder.file("store.db"));
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error().message, HasSubstr("run the newer program"));
}

TEST(SqliteStore, WhatIsNoStoreOfOursIsRefused) {
  const TestFolder folder;
  ASSERT_TRUE(Database::open(folder.file("other.db")).value().run("CREATE TABLE t (a)"));
  EXPECT_THAT(open_sqlite_store(folder.file("other.db")).error().message, HasSubstr("another program"));
  std::ofstream(folder.file("text.db")) << std::string(5000, 'x');
  EXPECT_FALSE(open_sqlite_store(folder.file("text.db")).has_value());
  EXPECT_FALSE(open_sqlite_store(folder.file("no/such/folder.db")).has_value());
}

TEST(SqliteStore, TwoGatewaysCannotShareAFile) {
  const TestFolder folder;
  const auto first = open_sqlite_store(folder.file("store.db")).value();
  ASSERT_TRUE(first->write(std::vector<Item>{test_incident(1)}));
  EXPECT_THAT(open_sqlite_store(folder.file("store.db")).error().message, HasSubstr("another gateway"));
}

TEST(SqliteStore, AFullDatabaseIsAnErrorAndLosesNothing) {
  const TestFolder folder;
  {
    const auto store = open_sqlite_store(folder.file("store.db"), {.pages_max = 30}).value();
    std::uint64_t written = 0;
    while (store->write(std::vector<Item>{test_incident(written + 1)})) ++written;
    ASSERT_GT(written, 3u);
    EXPECT_EQ(store->incidents(1000).value().size(), written);
    const auto again = store->write(std::vector<Item>{test_incident(1), test_incident(9999)});
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code, ErrorCode::unavailable);
    EXPECT_FALSE(store->incident(9999).value().has_value()) << "a batch is there whole or not at all";
  }
  EXPECT_TRUE(
      open_sqlite_store(folder.file("store.db")).value()->write(std::vector<Item>{test_incident(9999)}));
}

/// Runs `body` in a child process and returns its wait status.
template <class Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(SqliteStore, ADiskThatIsFullIsAnErrorAndNoCrash) {
  const TestFolder folder;
  const int status = in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200'000, 200'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const auto store = open_sqlite_store(folder.file("store.db"));
    if (!store) _exit(1);
    for (std::uint64_t number = 1; number < 10'000; ++number) {
      if (!(*store)->write(std::vector<Item>{test_incident(number)}))
        _exit((*store)->incident(1).value() ? 42 : 2);
    }
    _exit(3);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42) << "an error after some writes, and what was written is readable";
}

/// Writes incidents 1, 2, ... for ever, and tells each number through the pipe once it is acknowledged.
[[noreturn]] void write_for_ever(const std::string& path, int pipe) {
  const auto store = open_sqlite_store(path);
  if (!store) _exit(1);
  for (std::uint64_t number =
           (*store)->incidents(1).value().empty() ? 1 : (*store)->incidents(1).value()[0].number + 1;
       ; ++number) {
    if (!(*store)->write(std::vector<Item>{test_incident(number), test_record(std::to_string(number))}))
      _exit(2);
    if (write(pipe, &number, sizeof number) != sizeof number) _exit(3);
  }
}

TEST(SqliteStore, WhatWasAcknowledgedIsThereAfterKill9) {
  constexpr std::uint64_t kSeed = 11;
  PhiloxStream random(kSeed);
  const TestFolder folder;
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 25; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) write_for_ever(folder.file("store.db"), ends[1]);
    close(ends[1]);
    std::this_thread::sleep_for(std::chrono::microseconds(500 + random.below(40'000)));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "round " << round << ": the child ended by itself, " << status;
    std::uint64_t number = 0;
    while (read(ends[0], &number, sizeof number) == sizeof number) acknowledged = number;
    close(ends[0]);

    const auto store = open_sqlite_store(folder.file("store.db"));
    ASSERT_TRUE(store.has_value()) << store.error().message;
    const auto all = (*store)->incidents(1'000'000).value();
    ASSERT_GE(all.size(), acknowledged) << "round " << round << ", seed " << kSeed;
    for (std::uint64_t i = 1; i <= all.size(); ++i) {
      ASSERT_EQ(all[all.size() - i].number, i) << "no hole";
    }
    if (acknowledged > 0) EXPECT_TRUE((*store)->request(std::to_string(acknowledged)).value().has_value());
  }
  EXPECT_GT(acknowledged, 10u) << "else the test shows nothing";
}

}  // namespace
}  // namespace truekeel::store
