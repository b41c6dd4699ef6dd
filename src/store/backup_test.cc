// SPDX-License-Identifier: Apache-2.0
#include "store/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/test_folder.h"
#include "store/sqlite_store.h"
#include "store/test_items.h"

namespace truekeel::store {
namespace {

using testing::HasSubstr;

TEST(Backup, HoldsWhatTheStoreHolds) {
  const TestFolder folder;
  const auto store = open_sqlite_store(folder.file("store.db")).value();
  ASSERT_TRUE(store->write(std::vector<Item>{test_incident(4), test_change(2), test_record("r")}));
  ASSERT_TRUE(back_up(folder.file("store.db"), folder.file("copy.db"))) << "while the store is open";
  ASSERT_TRUE(store->write(std::vector<Item>{test_incident(5)}));
  const auto copy = open_sqlite_store(folder.file("copy.db")).value();
  EXPECT_EQ(copy->incident(4).value(), test_incident(4));
  EXPECT_FALSE(copy->incident(5).value().has_value());
  EXPECT_EQ(copy->last_change_number().value(), 2u);
  EXPECT_TRUE(copy->request("r").value().has_value());
  const auto mode = std::filesystem::status(folder.file("copy.db")).permissions();
  EXPECT_EQ(mode & std::filesystem::perms::others_read, std::filesystem::perms::none);
}

/// Pairs are written at once, so that half of one would show.
TEST(Backup, IsOfOneMomentWhileOthersWrite) {
  const TestFolder folder;
  const auto file = folder.file("store.db");
  const auto store = open_sqlite_store(file).value();
  ASSERT_TRUE(store->write(std::vector<Item>{test_incident(1), test_change(1)}));
  std::atomic<bool> ending = false;
  std::thread writer([&] {
    for (std::uint64_t n = 2; !ending; ++n) {
      EXPECT_TRUE(
          store->write(std::vector<Item>{test_incident(n), test_change(n), test_record(std::to_string(n))}));
    }
  });
  for (int i = 0; i < 10; ++i) {
    const auto to = folder.file("copy" + std::to_string(i));
    const auto done = back_up(file, to);
    ASSERT_TRUE(done) << done.error().message;
    const auto copy = open_sqlite_store(to).value();
    const auto last = copy->last_change_number().value();
    EXPECT_TRUE(copy->incident(last).value().has_value());
    EXPECT_FALSE(copy->incident(last + 1).value().has_value());
  }
  ending = true;
  writer.join();
}

TEST(Backup, OverwritesNothing) {
  const TestFolder folder;
  ASSERT_TRUE(open_sqlite_store(folder.file("store.db")));
  std::ofstream(folder.file("copy.db")) << "dear";
  const auto done = back_up(folder.file("store.db"), folder.file("copy.db"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(std::filesystem::file_size(folder.file("copy.db")), 4u);
}

TEST(Backup, AFailureLeavesNoFile) {
  const TestFolder folder;
  EXPECT_EQ(back_up(folder.file("none.db"), folder.file("copy.db")).error().code, ErrorCode::not_found);
  std::ofstream(folder.file("junk.db")) << std::string(8192, 'j');
  const auto junk = back_up(folder.file("junk.db"), folder.file("copy.db"));
  ASSERT_FALSE(junk);
  EXPECT_THAT(junk.error().message, HasSubstr("not a database"));
  ASSERT_TRUE(open_sqlite_store(folder.file("store.db")));
  EXPECT_FALSE(back_up(folder.file("store.db"), folder.file("no folder/copy.db")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("copy.db")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("copy.db.new")));
}

}  // namespace
}  // namespace truekeel::store
