// SPDX-License-Identifier: Apache-2.0
// A queue between threads with a fixed bound. Thread safety: every method, from any thread.
// Invariant: never holds more than its capacity; a full queue refuses, it never waits for room.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace truekeel {

template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  /// False when the queue is full or closed; the item is then left with the caller.
  [[nodiscard]] bool try_push(T&& item) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
    return true;
  }

  /// The oldest item, or nothing when there is none now.
  [[nodiscard]] std::optional<T> try_pop() {
    const std::lock_guard lock(mutex_);
    return take();
  }

  /// Waits for an item. Nothing when the queue is closed and empty.
  [[nodiscard]] std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return closed_ || !items_.empty(); });
    return take();
  }

  /// Takes out every item that `unwanted` says true of, oldest first.
  template <class Predicate>
  [[nodiscard]] std::vector<T> take_if(Predicate unwanted) {
    const std::lock_guard lock(mutex_);
    std::vector<T> taken;
    for (auto item = items_.begin(); item != items_.end();) {
      if (!unwanted(std::as_const(*item))) {
        ++item;
        continue;
      }
      taken.push_back(std::move(*item));
      item = items_.erase(item);
    }
    return taken;
  }

  /// Refuses further items and wakes everybody who waits; items that are in stay.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  std::optional<T> take() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace truekeel
