// SPDX-License-Identifier: Apache-2.0
// What every store promises, for each implementation.
#include "store/store.h"

#include <gmock/gmock.h>

#include "base/test_folder.h"
#include "store/sqlite_store.h"
#include "store/test_items.h"

namespace truekeel::store {
namespace {

using incident::kTestStart;
using std::chrono::hours;
using testing::ElementsAre;

enum class Kind { memory, sqlite };

class StoreTest : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    store =
        GetParam() == Kind::memory ? make_memory_store() : open_sqlite_store(folder.file("store.db")).value();
  }
  void write(std::vector<Item> items) { ASSERT_TRUE(store->write(items).has_value()); }
  std::vector<std::uint64_t> numbers() {
    std::vector<std::uint64_t> found;
    for (const auto& item : store->incidents(100).value()) found.push_back(item.number);
    return found;
  }

  TestFolder folder;
  std::unique_ptr<Store> store;
};

TEST_P(StoreTest, GivesBackWhatItGot) {
  write({test_incident(1), test_incident(2), test_change(7), test_record("req_1")});
  EXPECT_EQ(store->incident(2).value(), test_incident(2));
  EXPECT_EQ(store->request("req_1").value(), test_record("req_1"));
  EXPECT_THAT(store->changes(WallTime(), 10).value(), ElementsAre(test_change(7)));
  EXPECT_EQ(store->last_change_number().value(), 7u);
}

TEST_P(StoreTest, WhatIsNotThereIsNothing) {
  EXPECT_FALSE(store->incident(1).value().has_value());
  EXPECT_FALSE(store->request("'; DROP TABLE requests").value().has_value());
  EXPECT_EQ(store->last_change_number().value(), 0u);
  EXPECT_THAT(numbers(), ElementsAre());
}

TEST_P(StoreTest, ALaterStateReplacesTheEarlier) {
  write({test_incident(1)});
  const auto closed = resolved(test_incident(1), kTestStart + hours(1));
  write({closed, test_record("a", kTestStart), test_record("a", kTestStart + hours(1))});
  EXPECT_EQ(store->incident(1).value(), closed);
  EXPECT_EQ(store->request("a").value()->at, kTestStart + hours(1));
  write({test_record("a", kTestStart + hours(2))});
  EXPECT_EQ(store->request("a").value()->at, kTestStart + hours(2));
}

TEST_P(StoreTest, ListsTheNewestFirst) {
  write({test_incident(1), test_incident(3), test_incident(2), test_change(1, kTestStart),
         test_change(2, kTestStart - hours(1)), test_change(3, kTestStart)});
  EXPECT_THAT(numbers(), ElementsAre(3, 2, 1));
  EXPECT_EQ(store->incidents(1).value().size(), 1u);
  EXPECT_THAT(store->changes(WallTime(), 2).value(),
              ElementsAre(test_change(3, kTestStart), test_change(1, kTestStart)));
  EXPECT_EQ(store->changes(kTestStart, 10).value().size(), 2u);
}

TEST_P(StoreTest, ForgetsTheOldButNoOpenIncident) {
  write({test_incident(1), resolved(test_incident(2), kTestStart),
         resolved(test_incident(3), kTestStart + hours(2)), test_change(1),
         test_change(2, kTestStart + hours(2)), test_record("old")});
  write({test_record("new", kTestStart + hours(2))});
  ASSERT_TRUE(
      store->prune({.incidents_from = kTestStart + hours(1), .requests_from = kTestStart + hours(1)}));
  EXPECT_THAT(numbers(), ElementsAre(3, 1));
  EXPECT_EQ(store->changes(WallTime(), 10).value().size(), 1u);
  EXPECT_FALSE(store->request("old").value().has_value());
  EXPECT_TRUE(store->request("new").value().has_value());
}

TEST_P(StoreTest, RemembersTheHighestNumbers) {
  write({resolved(test_incident(1), kTestStart), resolved(test_incident(2), kTestStart), test_change(3),
         test_change(4)});
  ASSERT_TRUE(store->prune({.incidents_from = kTestStart + hours(1)}));
  EXPECT_THAT(numbers(), ElementsAre(2));
  EXPECT_EQ(store->changes(WallTime(), 10).value().size(), 1u);
  EXPECT_EQ(store->last_change_number().value(), 4u);
}

TEST_P(StoreTest, FindsEachRequestOfABatchAndNoOther) {
  write({test_record("req_1"), test_record("req_12"), test_record("2")});
  write({test_record("req_13", kTestStart + hours(1))});
  for (const char* id : {"req_1", "req_12", "2", "req_13"}) {
    EXPECT_EQ(store->request(id).value()->id, id);
  }
  for (const char* id : {"req_", "1", "", " ", "req_1 req_12", "req_%"}) {
    EXPECT_FALSE(store->request(id).value().has_value()) << id;
  }
}

TEST_P(StoreTest, KeepsTheNewestRequestsOnly) {
  for (int i = 0; i < 50; ++i) write({test_record(std::to_string(i), kTestStart + hours(i))});
  EXPECT_FALSE(store->prune({.requests_max = 10}).value());
  EXPECT_FALSE(store->request("39").value().has_value());
  EXPECT_TRUE(store->request("40").value().has_value());
}

TEST_P(StoreTest, SaysWhetherMoreIsToBeForgotten) {
  constexpr int kWrites = 240, kAtOnce = 50;
  for (int i = 0; i < kWrites; ++i) {
    std::vector<Item> records;
    for (int j = 0; j < kAtOnce; ++j) records.emplace_back(test_record(std::to_string(i * kAtOnce + j)));
    write(records);
  }
  int calls = 1;
  while (store->prune({.requests_max = kAtOnce}).value()) ++calls;
  EXPECT_LE(calls, 4);
  int left = 0;
  for (int i = 0; i < kWrites * kAtOnce; ++i) left += store->request(std::to_string(i)).value().has_value();
  EXPECT_EQ(left, kAtOnce);
}

TEST(MemoryStore, RemembersTheNewestTenThousandRequests) {
  const auto store = make_memory_store();
  std::vector<Item> records;
  for (int i = 0; i <= 10'000; ++i) records.emplace_back(test_record(std::to_string(i)));
  ASSERT_TRUE(store->write(records));
  EXPECT_FALSE(store->request("0").value().has_value());
  EXPECT_TRUE(store->request("1").value().has_value());
  EXPECT_TRUE(store->request("10000").value().has_value());
}

TEST(SqliteStore, ForgetsABatchOfRequestsWithItsLast) {
  const TestFolder folder;
  const auto store = open_sqlite_store(folder.file("store.db")).value();
  ASSERT_TRUE(store->write(std::vector<Item>{test_record("0"), test_record("1", kTestStart + hours(1))}));
  ASSERT_TRUE(store->write(std::vector<Item>{test_record("2", kTestStart + hours(2))}));
  ASSERT_TRUE(store->prune({.requests_from = kTestStart + hours(1), .requests_max = 2}));
  EXPECT_TRUE(store->request("0").value().has_value());
  ASSERT_TRUE(store->prune({.requests_max = 1}));
  EXPECT_FALSE(store->request("1").value().has_value());
  EXPECT_TRUE(store->request("2").value().has_value());
}

INSTANTIATE_TEST_SUITE_P(All, StoreTest, testing::Values(Kind::memory, Kind::sqlite));

}  // namespace
}  // namespace truekeel::store
