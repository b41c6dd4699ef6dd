// SPDX-License-Identifier: Apache-2.0
// The latest events, for whoever follows them at its own pace. Thread safety: every method, from any thread.
// Invariant: bounded; who falls behind by more misses the oldest, and can tell by the gap in the numbers.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

namespace truekeel::gateway {

struct Event {
  std::uint64_t number = 0;  ///< 1, 2, 3, ...
  std::string type;          ///< incident.opened, incident.status, incident.updated, change.added
  std::string id;            ///< the same for the same event after a restart, and of no other
  std::string data;          ///< JSON
};

class EventRing {
 public:
  explicit EventRing(std::size_t most = 1024) : most_(most) {}

  void publish(std::string type, std::string id, std::string data) {
    const std::lock_guard lock(mutex_);
    events_.push_back({++last_, std::move(type), std::move(id), std::move(data)});
    if (events_.size() > most_) events_.pop_front();
  }

  /// Those after `number` that are left, oldest first.
  [[nodiscard]] std::vector<Event> after(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    std::vector<Event> found;
    for (const auto& event : events_) {
      if (event.number > number) found.push_back(event);
    }
    return found;
  }

  [[nodiscard]] std::uint64_t last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::deque<Event> events_;  // guarded by mutex_
  std::uint64_t last_ = 0;    // guarded by mutex_
};

}  // namespace truekeel::gateway
