// SPDX-License-Identifier: Apache-2.0
// When evidence is entered, and which requests are looked at: the rules that keep it valid.
// Thread safety: an object serves one thread.
//
// 1. A detector is updated at flushes, never because an answer ended: lengths depend on the tokens.
// 2. Whether a request is looked at is decided at its admission, from the past and a random number.
// 3. What was to be looked at and is lost or late enters at its lower bound, never as nothing.
// 4. Answers that come whole enter in the order of admission, not of completion.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/time.h"
#include "evidence/e_detector.h"

namespace truekeel::evidence {

/// True for this share of all random numbers; `bits` are 64 uniform ones drawn for this request alone.
[[nodiscard]] inline bool look_at(double share, std::uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1p-53 < share;
}

/// Says when to flush: every 250 ms, or when this many tokens wait.
class FlushClock {
 public:
  static constexpr Duration kEvery = std::chrono::milliseconds(250);
  static constexpr std::uint64_t kTokensMax = 1024;

  explicit FlushClock(Instant now, Tick first = 1) : last_(now), tick_(first) {}

  [[nodiscard]] bool due(Instant now, std::uint64_t waiting_tokens) const {
    return now - last_ >= kEvery || waiting_tokens >= kTokensMax;
  }
  /// The window that is filled now.
  [[nodiscard]] Tick tick() const { return tick_; }
  void flushed(Instant now) {
    last_ = now;
    ++tick_;
  }

 private:
  Instant last_;
  Tick tick_;
};

/// Holds what completes out of order until everything admitted before it has been entered.
/// Invariant: after a release it holds at most `capacity` admissions: beyond that the oldest one is given up,
/// by the past alone, and enters at its lower bound as a late one does. Admission never fails.
template <class Item>
class AdmissionOrder {
 public:
  using Ticket = std::uint64_t;

  AdmissionOrder(std::size_t capacity, Duration patience) : capacity_(capacity), patience_(patience) {}

  [[nodiscard]] Ticket admit(Instant now) {
    waiting_.push_back({.admitted = now});
    return first_ + waiting_.size() - 1;
  }

  /// The answer is there. Late ones, already entered at their lower bound, are dropped.
  void complete(Ticket ticket, Item item) {
    if (Entry* entry = find(ticket)) {
      entry->item.emplace(std::move(item));
      entry->over = true;
    }
  }

  /// The answer will not come.
  void abandon(Ticket ticket) {
    if (Entry* entry = find(ticket)) entry->over = true;
  }

  /// Calls sink(ticket, std::optional<Item>) in the order of admission for all that may enter now; nothing
  /// stands for an answer that is lost, took longer than the patience, or held up too many others.
  template <class Sink>
  void release(Instant now, Sink&& sink) {
    const auto may_enter = [&](const Entry& front) {
      return front.over || waiting_.size() > capacity_ || now - front.admitted >= patience_;
    };
    while (!waiting_.empty() && may_enter(waiting_.front())) {
      std::optional<Item> item = std::move(waiting_.front().item);
      waiting_.pop_front();
      sink(first_++, std::move(item));
    }
  }

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Entry {
    Instant admitted;
    bool over = false;
    std::optional<Item> item = {};
  };

  Entry* find(Ticket ticket) {
    TK_ASSERT(ticket < first_ + waiting_.size());
    return ticket < first_ ? nullptr : &waiting_[ticket - first_];
  }

  const std::size_t capacity_;
  const Duration patience_;
  Ticket first_ = 0;  // of the front entry
  std::deque<Entry> waiting_;
};

}  // namespace truekeel::evidence
