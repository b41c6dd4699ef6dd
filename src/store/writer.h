// SPDX-License-Identifier: Apache-2.0
// The one thread that writes. Thread safety: every method, from any thread.
// Invariants: put() never waits for a disk; what is dropped is counted; a full disk is a state that people
// see, not an end: incidents and changes wait for room, request records do not.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "store/store.h"

namespace truekeel::store {

struct WriterOptions {
  std::size_t queue_max = 10'000;  ///< request records; for the rest there are as many places again
  /// Records gather for so long: a wake-up of the thread costs more than to write one.
  Duration gather = std::chrono::milliseconds(100);
  Duration retry = std::chrono::seconds(1);
  Duration prune_every = std::chrono::minutes(1);
  Duration keep = std::chrono::hours(24 * 90);  ///< closed incidents, and changes
  Duration keep_requests = std::chrono::hours(24);
  std::uint64_t requests_max = 1'000'000;
  std::function<WallTime()> now = {};  ///< empty: the system's clock
};

class Writer {
 public:
  Writer(std::unique_ptr<Store> store, WriterOptions options);
  /// Writes what is queued, once, and ends the thread.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// False when there is no room; the item is then dropped and counted. A request's record is written when it
  /// has gathered others, everything else at once.
  bool put(Item item);

  /// Waits until all that was put before has been tried. True when it is in the store; false when that takes
  /// longer, or the store fails: incidents and changes then wait for room.
  bool flush(Duration most = std::chrono::seconds(10));

  struct State {
    std::uint64_t written = 0, dropped = 0;
    std::optional<std::string> failing;  ///< why the last attempt failed; nothing when it did not
  };
  [[nodiscard]] State state() const;

  /// For reading.
  [[nodiscard]] Store& store() { return *store_; }

 private:
  void run();
  [[nodiscard]] bool take_batch();
  void write_batch();
  void keep_what_matters();
  void prune();

  const std::unique_ptr<Store> store_;
  const WriterOptions options_;

  std::vector<Item> batch_;  // the thread's own
  std::chrono::steady_clock::time_point prune_due_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Item> queue_;  // guarded by mutex_, as all below
  std::uint64_t put_ = 0, tried_ = 0;
  std::uint64_t written_ = 0, dropped_ = 0;
  std::optional<std::string> failing_;
  bool urgent_ = false;  // what is queued should not wait for more
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace truekeel::store
