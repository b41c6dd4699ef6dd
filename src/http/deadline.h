// SPDX-License-Identifier: Apache-2.0
// Deadlines, coarse and cheap: setting one links it into a wheel that is swept every tick, no timer each.
// Thread safety: one thread. Invariant: a deadline fires at most one tick late, never early, and from the
// event loop; it is off when it fires.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <utility>

#include "base/time.h"
#include "http/net.h"

namespace truekeel::http {

class Deadline;

class DeadlineWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(50);

  /// `net` is borrowed for life.
  explicit DeadlineWheel(Net& net);
  ~DeadlineWheel();
  DeadlineWheel(const DeadlineWheel&) = delete;
  DeadlineWheel& operator=(const DeadlineWheel&) = delete;

 private:
  friend class Deadline;
  struct State;
  std::shared_ptr<State> state_;
};

/// One thing that may take too long. Off until it is set.
class Deadline {
 public:
  /// `fired` may set this deadline again, or destroy it.
  Deadline(DeadlineWheel& wheel, std::function<void()> fired);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  /// Sets or moves it. Cost: moving it later writes one field.
  void set(Instant at);
  void clear();

 private:
  friend class DeadlineWheel;
  void unlink();

  std::shared_ptr<DeadlineWheel::State> wheel_;
  std::function<void()> fired_;
  Instant at_{};
  Instant looked_at_{};  ///< when the wheel will look at it next; at_ may be later
  Deadline* previous_ = nullptr;
  Deadline* next_ = nullptr;
};

}  // namespace truekeel::http
