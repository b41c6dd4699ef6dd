// SPDX-License-Identifier: Apache-2.0
// Deadlines, coarse and cheap: one sweep a tick looks at those that may be due, no timer each.
// Thread safety: one thread. Invariant: a deadline fires from the event loop, at most one tick late and never
// early; it is off when it fires.
#pragma once

#include <functional>
#include <memory>

#include "base/time.h"
#include "http/net.h"

namespace truekeel::http {

/// Links of a ring; alone, it points to itself.
struct DeadlineLink {
  DeadlineLink* previous = this;
  DeadlineLink* next = this;

  void unlink();
  void link_before(DeadlineLink& other);
};

class DeadlineWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(50);

  /// `net` is borrowed for life.
  explicit DeadlineWheel(Net& net);
  /// What is still set never fires.
  ~DeadlineWheel();
  DeadlineWheel(const DeadlineWheel&) = delete;
  DeadlineWheel& operator=(const DeadlineWheel&) = delete;

  struct State;

 private:
  friend class Deadline;
  std::shared_ptr<State> state_;
};

/// One thing that may take too long. Off until it is set.
class Deadline : private DeadlineLink {
 public:
  /// `fired` may set this deadline again, or destroy it.
  Deadline(DeadlineWheel& wheel, std::function<void()> fired);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  /// Sets or moves it. Cost: moving it later, or off and on again, writes one field.
  void set(Instant at);
  void clear() { at_ = Instant::max(); }

 private:
  friend struct DeadlineWheel::State;

  std::shared_ptr<DeadlineWheel::State> wheel_;
  std::function<void()> fired_;
  Instant at_ = Instant::max();
  Instant looked_at_ = Instant::max();  ///< when the wheel looks at it next; max while it is not linked
};

}  // namespace truekeel::http
