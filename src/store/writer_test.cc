// SPDX-License-Identifier: Apache-2.0
#include "store/writer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/test_folder.h"
#include "store/sqlite_store.h"
#include "store/test_items.h"

namespace truekeel::store {
namespace {

using incident::kTestStart;
using std::chrono::hours;
using std::chrono::milliseconds;

/// A memory store whose disk can be full.
class FlakyStore final : public Store {
 public:
  explicit FlakyStore(std::atomic<bool>& full, std::vector<std::size_t>* batches = nullptr)
      : full_(full), batches_(batches), inner_(make_memory_store()) {}

  Result<void> write(std::span<const Item> batch) override {
    if (full_) return fail(ErrorCode::unavailable, "database or disk is full");
    if (batches_ != nullptr) batches_->push_back(batch.size());
    return inner_->write(batch);
  }
  Result<bool> prune(const Retention& retention) override { return inner_->prune(retention); }
  Result<std::vector<incident::Incident>> incidents(std::size_t most) override {
    return inner_->incidents(most);
  }
  Result<std::optional<incident::Incident>> incident(std::uint64_t number) override {
    return inner_->incident(number);
  }
  Result<std::vector<incident::Change>> changes(WallTime from, std::size_t most) override {
    return inner_->changes(from, most);
  }
  Result<std::uint64_t> last_change_number() override { return inner_->last_change_number(); }
  Result<std::optional<incident::RequestRecord>> request(std::string_view id) override {
    return inner_->request(id);
  }

 private:
  std::atomic<bool>& full_;
  std::vector<std::size_t>* const batches_;  ///< their sizes, once the writer has ended
  std::unique_ptr<Store> inner_;
};

WallTime at_start() { return kTestStart; }

TEST(Writer, WritesWhatItIsGiven) {
  Writer writer(make_memory_store(), {.now = at_start});
  EXPECT_TRUE(writer.put(test_incident(1)));
  EXPECT_TRUE(writer.put(test_record("r")));
  writer.flush();
  EXPECT_TRUE(writer.store().request("r").value().has_value());
  EXPECT_EQ(writer.state().written, 2u);
  EXPECT_EQ(writer.state().dropped, 0u);
}

TEST(Writer, RecordsGatherUntilSomethingUrgentComes) {
  std::atomic<bool> full = false;
  std::vector<std::size_t> batches;
  {
    Writer writer(std::make_unique<FlakyStore>(full, &batches), {.gather = hours(1), .now = at_start});
    for (const char* id : {"a", "b"}) {
      writer.put(test_record(id));
      std::this_thread::sleep_for(milliseconds(20));  // time enough for a thread that does not wait
    }
    writer.put(test_change(1));
    EXPECT_TRUE(writer.flush());
    writer.put(test_record("c"));
    EXPECT_TRUE(writer.flush()) << "who waits for it is urgent, too";
    writer.put(test_record("d"));
  }
  EXPECT_EQ(batches, (std::vector<std::size_t>{3, 1, 1})) << "the last as it ends";
}

TEST(Writer, RecordsGatherUntilTheyAreABatch) {
  Writer writer(make_memory_store(), {.gather = hours(1), .now = at_start});
  for (int i = 0; i < 1000; ++i) writer.put(test_record(std::to_string(i)));
  while (writer.state().written < 1000) std::this_thread::sleep_for(milliseconds(1));
}

TEST(Writer, RecordsGatherNoLongerThanTheyMay) {
  Writer writer(make_memory_store(), {.gather = milliseconds(1), .now = at_start});
  writer.put(test_record("a"));
  while (writer.state().written < 1) std::this_thread::sleep_for(milliseconds(1));
}

TEST(Writer, EndsWithEverythingWritten) {
  const TestFolder folder;
  {
    Writer writer(open_sqlite_store(folder.file("store.db")).value(), {.now = at_start});
    for (std::uint64_t i = 1; i <= 3000; ++i) writer.put(test_record(std::to_string(i)));
  }
  EXPECT_TRUE(open_sqlite_store(folder.file("store.db")).value()->request("3000").value().has_value());
}

TEST(Writer, AFullDiskIsShownAndIncidentsWaitForRoom) {
  std::atomic<bool> full = true;
  Writer writer(std::make_unique<FlakyStore>(full), {.retry = milliseconds(1), .now = at_start});
  writer.put(test_incident(1));
  writer.put(resolved(test_incident(1), kTestStart));
  writer.put(test_change(1));
  writer.put(test_record("lost"));
  EXPECT_FALSE(writer.flush());
  EXPECT_EQ(writer.state().failing, "database or disk is full");
  EXPECT_EQ(writer.state().dropped, 1u);
  full = false;
  writer.put(test_change(2));
  EXPECT_TRUE(writer.flush());
  EXPECT_FALSE(writer.state().failing.has_value());
  EXPECT_EQ(writer.store().incident(1).value()->status, incident::Status::resolved);
  EXPECT_EQ(writer.store().changes(WallTime(), 9).value().size(), 2u);
  EXPECT_FALSE(writer.store().request("lost").value().has_value());
}

TEST(Writer, AFullQueueDropsRecordsBeforeIncidents) {
  std::atomic<bool> full = true;
  Writer writer(std::make_unique<FlakyStore>(full), {.queue_max = 10, .retry = hours(1), .now = at_start});
  writer.put(test_incident(1));
  writer.flush();  // from here on it waits for its next attempt
  int taken = 0;
  for (int i = 0; i < 30; ++i) taken += writer.put(test_record(std::to_string(i)));
  EXPECT_EQ(taken, 10);
  for (std::uint64_t i = 2; i < 30; ++i) taken += writer.put(test_incident(i));
  EXPECT_EQ(taken, 20);
  EXPECT_EQ(writer.state().dropped, 38u);
}

TEST(Writer, ForgetsAllThatIsTooOldAtOnce) {
  const TestFolder folder;
  constexpr std::uint64_t kOld = 240;  // batches, of which one call of prune() removes less than half
  auto store = open_sqlite_store(folder.file("store.db")).value();
  for (std::uint64_t i = 1; i <= kOld; ++i) {
    ASSERT_TRUE(store->write(std::vector<Item>{test_record(std::to_string(i))}));
  }
  Writer writer(std::move(store), {.prune_every = hours(1), .now = [] { return kTestStart + hours(25); }});
  for (std::uint64_t turn = 1; turn <= 5; ++turn) {
    writer.put(test_change(turn, kTestStart + hours(25)));
    writer.flush();
  }
  EXPECT_FALSE(writer.store().request("1").value().has_value());
  EXPECT_FALSE(writer.store().request(std::to_string(kOld)).value().has_value());
}

TEST(Writer, ForgetsByTheClockItIsGiven) {
  std::atomic<WallTime> now = kTestStart;
  Writer writer(make_memory_store(), {.prune_every = milliseconds(1), .now = [&] { return now.load(); }});
  writer.put(test_record("r"));
  writer.put(resolved(test_incident(1), kTestStart));
  writer.put(test_incident(2));
  writer.flush();
  const auto prune = [&](WallTime at) {
    now = at;
    for (int i = 0; i < 3; ++i) {  // each turn of the thread may prune
      std::this_thread::sleep_for(milliseconds(2));
      writer.put(test_change(1, at));
      writer.flush();
    }
  };
  prune(kTestStart + hours(23));
  EXPECT_TRUE(writer.store().request("r").value().has_value());
  prune(kTestStart + hours(25));
  EXPECT_FALSE(writer.store().request("r").value().has_value());
  EXPECT_TRUE(writer.store().incident(1).value().has_value());
  prune(kTestStart + hours(24 * 91));
  EXPECT_FALSE(writer.store().incident(1).value().has_value());
}

}  // namespace
}  // namespace truekeel::store
