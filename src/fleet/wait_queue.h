// SPDX-License-Identifier: Apache-2.0
// The requests that wait for room in one pool, first come first served. Thread safety: none of its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/time.h"
#include "fleet/affinity.h"
#include "fleet/context_class.h"

namespace truekeel::fleet {

/// Numbers waiting requests in the order of their coming, over all pools; never used again.
using Ticket = std::uint64_t;

struct Waiter {
  Ticket ticket = 0;
  ContextPlan plan;
  AffinityKey key;
  Instant since{};
  std::function<void()> wake;
};

class WaitQueue {
 public:
  [[nodiscard]] bool empty() const { return waiters_.empty(); }
  [[nodiscard]] std::size_t size() const { return waiters_.size(); }
  [[nodiscard]] const Waiter& front() const { return waiters_.front(); }

  /// Requires: its ticket is above all before.
  void push(Waiter waiter) {
    TK_ASSERT(waiters_.empty() || waiters_.back().ticket < waiter.ticket);
    waiters_.push_back(std::move(waiter));
  }

  Waiter pop() {
    TK_ASSERT(!waiters_.empty());
    Waiter first = std::move(waiters_.front());
    waiters_.pop_front();
    return first;
  }

  Waiter pop_last() {
    TK_ASSERT(!waiters_.empty());
    Waiter last = std::move(waiters_.back());
    waiters_.pop_back();
    return last;
  }

  /// False when it is not here.
  bool remove(Ticket ticket) {
    const auto found = std::ranges::lower_bound(waiters_, ticket, {}, &Waiter::ticket);
    if (found == waiters_.end() || found->ticket != ticket) return false;
    waiters_.erase(found);
    return true;
  }

 private:
  std::deque<Waiter> waiters_;  // by ticket
};

}  // namespace truekeel::fleet
