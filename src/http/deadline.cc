// SPDX-License-Identifier: Apache-2.0
#include "http/deadline.h"

#include <algorithm>
#include <array>
#include <utility>

namespace truekeel::http {

void DeadlineLink::unlink() {
  previous->next = next;
  next->previous = previous;
  previous = next = this;
}

void DeadlineLink::link_before(DeadlineLink& other) {
  next = &other;
  previous = other.previous;
  previous->next = this;
  other.previous = this;
}

/// A ring of slots, one a tick. A deadline further away than a turn, or moved later since it was linked, is
/// looked at in vain and linked anew: a few times in its life, however often it is moved.
struct DeadlineWheel::State : std::enable_shared_from_this<State> {
  static constexpr std::size_t kSlots = 256;

  explicit State(Net& n) : net(n) {}

  Net& net;
  std::array<DeadlineLink, kSlots> slots;
  std::size_t linked = 0;
  std::int64_t swept = 0;  ///< all ticks up to this one
  bool sweeping = false;
  bool closed = false;

  static std::int64_t tick_of(Instant at) { return at.time_since_epoch() / kTick; }

  void link(Deadline& deadline) {
    if (closed) return;
    if (!sweeping) swept = tick_of(net.now());
    // The tick after the one it falls in: never early.
    const std::int64_t due =
        deadline.at_ > Instant::max() - 2 * kTick ? INT64_MAX : tick_of(deadline.at_) + 1;
    const std::int64_t tick =
        std::clamp<std::int64_t>(due, swept + 1, swept + static_cast<std::int64_t>(kSlots) - 1);
    deadline.looked_at_ = Instant(tick * kTick);
    deadline.link_before(slots[static_cast<std::size_t>(tick) % kSlots]);
    ++linked;
    // Last: a task may begin within spawn().
    if (!std::exchange(sweeping, true)) spawn(net, sweep(shared_from_this()));
  }

  void unlink(Deadline& deadline) {
    if (deadline.looked_at_ == Instant::max()) return;
    deadline.looked_at_ = Instant::max();
    deadline.unlink();
    --linked;
  }

  // The coroutine shares the state: it may outlive the wheel by a tick.
  static Task<void> sweep(std::shared_ptr<State> state) {
    while (state->linked > 0 && !state->closed) {
      co_await state->net.sleep_until(Instant((state->swept + 1) * kTick));
      while (!state->closed && state->swept < tick_of(state->net.now())) state->sweep_slot(++state->swept);
    }
    state->sweeping = false;
  }

  void sweep_slot(std::int64_t tick) {
    // Moved to a ring of its own first: what fires may link into this very slot.
    DeadlineLink due;
    DeadlineLink& slot = slots[static_cast<std::size_t>(tick) % kSlots];
    if (slot.next == &slot) return;
    due.link_before(slot);
    slot.unlink();
    const Instant now = net.now();
    while (due.next != &due) {
      Deadline& deadline = static_cast<Deadline&>(*due.next);
      unlink(deadline);
      if (deadline.at_ == Instant::max()) continue;
      if (deadline.at_ > now) {
        link(deadline);
      } else {
        deadline.at_ = Instant::max();
        // A copy: the call may destroy the deadline, and what it holds with it.
        const std::function<void()> fired = deadline.fired_;
        fired();
      }
    }
  }
};

DeadlineWheel::DeadlineWheel(Net& net) : state_(std::make_shared<State>(net)) {}

DeadlineWheel::~DeadlineWheel() { state_->closed = true; }

Deadline::Deadline(DeadlineWheel& wheel, std::function<void()> fired)
    : wheel_(wheel.state_), fired_(std::move(fired)) {}

Deadline::~Deadline() { wheel_->unlink(*this); }

void Deadline::set(Instant at) {
  at_ = at;
  if (at_ >= looked_at_) return;  // the wheel will look in time, and see
  wheel_->unlink(*this);
  wheel_->link(*this);
}

}  // namespace truekeel::http
