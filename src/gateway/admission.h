// SPDX-License-Identifier: Apache-2.0
// Gets a call its place at a server: at once, or after it has waited for room. Thread safety: one Admission
// per thread. Invariant: who leaves, or whose time is up, waits no more and takes no room.
#pragma once

#include <expected>
#include <optional>
#include <set>
#include <string_view>

#include "fleet/fleet.h"
#include "gateway/attempt.h"
#include "gateway/shared.h"
#include "protocol/errors.h"

namespace truekeel::gateway {

/// What a call is answered that gets no place.
struct Rejection {
  protocol::ApiError error;
  std::uint32_t retry_after_s = 0;  ///< 0: as usual for its status
};

[[nodiscard]] Rejection as_rejection(const fleet::Refusal& refusal);

class Admission {
 public:
  /// Both are borrowed for life.
  Admission(http::Net& net, Shared& shared) : net_(net), shared_(shared) {}

  /// A decision whose first candidate the call has begun at.
  using Placed = std::expected<fleet::Decision, Rejection>;

  /// Nothing where it has to wait for room.
  [[nodiscard]] std::optional<Placed> place_now(const fleet::ContextPlan& plan,
                                                const fleet::AffinityKey& key);
  http::Task<Placed> wait_for_room(ClientCall& call, const fleet::ContextPlan& plan,
                                   const fleet::AffinityKey& key);

  /// Sends away who waits, and who would wait from now on.
  void close();

 private:
  struct Waiter;
  http::Task<void> until_woken(ClientCall& call, Waiter& waiter, Instant until);
  [[nodiscard]] Rejection too_late(const ClientCall& call, const fleet::Waiting& waiting) const;

  http::Net& net_;
  Shared& shared_;
  std::set<Waiter*> waiters_;
  bool closing_ = false;
};

}  // namespace truekeel::gateway
