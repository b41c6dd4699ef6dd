// SPDX-License-Identifier: Apache-2.0
// The state of the fleet and the routing decision. Thread safety: none of its own; the gateway guards one
// Fleet with one mutex. That is enough: route() takes under 2 us for 8 members, all others less,
// while the work that is long (bounds, hashing the prompt, counting) needs the immutable Config alone and
// happens outside the lock. Invariants: a request is never given an endpoint of a smaller window than it
// needs; drained endpoints get nothing; a pool's last ready member is never ejected; no endpoint has more
// calls than its limit; who waits is overtaken by nobody, and room is given to the first when a call ends, at
// the latest with the next look for probes.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "fleet/affinity.h"
#include "fleet/config.h"
#include "fleet/context_class.h"
#include "fleet/health.h"
#include "fleet/retry_budget.h"
#include "fleet/roster.h"
#include "fleet/wait_queue.h"

namespace truekeel::fleet {

/// An endpoint that may serve a request, and as which class.
struct Candidate {
  EndpointId endpoint = 0;
  const EndpointConfig* config = nullptr;  ///< lives as long as Decision::config
  std::uint32_t class_index = 0;
  std::uint64_t epoch = 0;   ///< of its pool, when the decision was taken
  std::uint32_t rank = 0;    ///< in its pool's rendezvous order
  bool over_bound = false;   ///< has more than its share of calls: behind the others of its pool
  bool overflow = false;     ///< of a larger class than needed, because the right pool has nobody ready
  bool last_resort = false;  ///< ejected, but alive, and nobody better is left

  bool operator==(const Candidate&) const = default;
};

/// Where a request goes and why. Owns a share of the Config, so it outlives a reload.
struct Decision {
  std::shared_ptr<const Config> config;
  const ModelConfig* model = nullptr;
  std::uint32_t class_index = 0;  ///< the class that the request needs
  std::uint64_t epoch = 0;        ///< of the pool of order[0]
  TokenRange prompt;
  CountedBy counted = CountedBy::bound;
  OutputLimit output;
  AffinityKey affinity;
  std::vector<Candidate> order;         ///< best first, never empty; the rest is for retries
  std::vector<EndpointId> passed_over;  ///< better ones of the pool of order[0], with too many calls
  Duration waited{};                    ///< for room
};

enum class RefusalKind { context_length_exceeded, model_not_found, no_endpoint, overloaded };

/// Why a request goes nowhere, for the provider's error shape.
struct Refusal {
  RefusalKind kind = RefusalKind::no_endpoint;
  int status = 503;
  std::string message;
  std::uint32_t retry_after_s = 0;  ///< 0: nothing to say
};

[[nodiscard]] Refusal unknown_model(const Config& config, std::string_view name);

/// A request that has begun at order[0] of its decision, or will not.
using Placement = std::expected<Decision, Refusal>;

/// A request that waits, and until when it may.
struct Waiting {
  Ticket ticket = 0;
  std::string pool;
  Instant until{};
  Refusal too_late;  ///< what to tell the client then
};

/// One endpoint as the admin API shows it.
struct MemberView {
  std::shared_ptr<const Config> held;  ///< what the pointers point into
  const EndpointConfig* config = nullptr;
  const PoolConfig* pool = nullptr;
  HealthState state = HealthState::starting;
  bool drained = false;
  std::uint32_t in_flight = 0;
  std::uint64_t requests = 0;
  std::uint64_t requests_since_drain = 0;  ///< 0 when not drained
  std::uint64_t failures = 0;
  Duration ejected_for{};  ///< from now; 0 when not ejected
};

class Fleet {
 public:
  Fleet(std::shared_ptr<const Config> config, const AffinitySecret& secret, Instant now);

  /// The numbers that another configuration's endpoints would have. An endpoint stays who it is while its
  /// name, pool, URL, engine and upstream_model do. The same until the next replace().
  [[nodiscard]] Roster roster_for(const Config& config) const;

  /// Goes over to another configuration of models and pools. Endpoints that stay keep all that is known of
  /// them, pools of the same name their epoch, endpoints of the same name their drain. What is removed gets
  /// no new calls. Who waits goes on to wait in his pool's queue, or is told that his model is gone or his
  /// queue full. Requires: all else is as before.
  void replace(std::shared_ptr<const Config> config, Instant now);

  /// Requires: the plan needs no count any more. A plan of an earlier Config is made anew.
  [[nodiscard]] std::expected<Decision, Refusal> route(const ContextPlan& plan, const AffinityKey& key,
                                                       Instant now) const;

  /// Lets a request begin at the best endpoint that has room, of those that route() takes for the best: the
  /// ready ones of its class's pool, else of a larger one. Nothing when they are full, or others wait
  /// already.
  [[nodiscard]] std::optional<Placement> place(const ContextPlan& plan, const AffinityKey& key, Instant now);

  /// Lets it wait for its turn, which may come at once. `wake` is to be called when it has come, by who takes
  /// take_woken(). Each ticket has one leave().
  [[nodiscard]] std::expected<Waiting, Refusal> wait(const ContextPlan& plan, const AffinityKey& key,
                                                     std::function<void()> wake, Instant now);

  /// Ends the wait: with its placement if its turn has come, else it gives up its turn.
  [[nodiscard]] std::optional<Placement> leave(Ticket ticket);

  /// Whose turn has come since the last call.
  [[nodiscard]] std::vector<std::function<void()>> take_woken() { return std::exchange(woken_, {}); }

  /// A request goes to an endpoint after another one failed, and has ended there. Each begin and each
  /// placement has one end, but for a begin that gave false: the endpoint is drained or has no room, and gets
  /// nothing.
  [[nodiscard]] bool begin(EndpointId endpoint);
  void end(EndpointId endpoint, Outcome outcome, const AffinityKey& key, Instant now);

  /// True when a failed attempt may be made again now; takes it out of the budget.
  [[nodiscard]] bool take_retry(const FailedAttempt& failed, Instant now);
  void count_request(Instant now) { budget_.on_request(now); }

  void on_probe(EndpointId endpoint, ProbeResult result, Instant now);

  /// Endpoints to be probed now, drained ones too. Each is under way from here on, so that it is not due
  /// again, until on_probe() tells its result.
  [[nodiscard]] std::vector<EndpointId> take_due_probes(Instant now);

  /// By name; false when there is no such endpoint.
  [[nodiscard]] bool drain(std::string_view endpoint);
  [[nodiscard]] bool undrain(std::string_view endpoint);

  /// Bumps the affinity epoch, so that every session of the pool is placed afresh. The new epoch.
  [[nodiscard]] std::optional<std::uint64_t> unstick(std::string_view pool);

  /// True when every request that fits some window could be served, if by a larger one: what /readyz says.
  [[nodiscard]] bool ready(Instant now) const;

  /// True when each class could be served by its own pool.
  [[nodiscard]] bool complete(Instant now) const;

  /// Those of the configuration, in its order.
  [[nodiscard]] std::vector<EndpointId> endpoints() const;
  /// Whether there is still such an endpoint, removed or not.
  [[nodiscard]] bool has(EndpointId endpoint) const { return members_.contains(endpoint); }
  [[nodiscard]] std::uint64_t epoch(std::size_t pool_index) const;
  /// Requests that wait for room there, and for how long the first of them has.
  struct Queue {
    std::size_t waiting = 0;
    Duration longest{};
  };
  [[nodiscard]] Queue queue(std::size_t pool_index, Instant now) const;
  /// Requests under way, at all that has() tells of.
  [[nodiscard]] std::vector<std::pair<EndpointId, std::uint32_t>> in_flight() const;
  /// Requires here and below: has().
  [[nodiscard]] MemberView view(EndpointId endpoint, Instant now) const;
  [[nodiscard]] const EndpointConfig& endpoint(EndpointId id) const;
  [[nodiscard]] std::optional<EndpointId> find(std::string_view endpoint) const;
  [[nodiscard]] const std::shared_ptr<const Config>& config() const { return config_; }

 private:
  struct Member {
    std::shared_ptr<const Config> held;
    const EndpointConfig* config;
    std::uint32_t pool;  ///< into held->pools, and into pools_ unless it is removed
    std::uint64_t id;
    Health health;
    bool removed = false;
    bool drained = false;
    bool probing = false;
    std::uint32_t in_flight = 0;
    std::uint64_t requests = 0;
    std::uint64_t requests_at_drain = 0;
    std::uint64_t failures = 0;
  };
  struct Pool {
    std::vector<EndpointId> members = {};
    std::uint64_t epoch = 0;
    const LoadSettings* load = nullptr;
    WaitQueue queue = {};
  };

  [[nodiscard]] static bool serves(const Member& member, bool last_resort, Instant now);
  [[nodiscard]] bool serves(const Pool& pool, Instant now) const;
  [[nodiscard]] bool may_eject(const Member& member, Instant now) const;
  [[nodiscard]] bool set_drained(std::string_view endpoint, bool drained);
  [[nodiscard]] const Member& at(EndpointId id) const;
  void add_pools(const Roster& roster);
  [[nodiscard]] std::optional<ContextPlan> current(const ContextPlan& plan) const;
  void queue_again(std::vector<Waiter> waiters, Instant now);
  void settle(Waiter waiter, Placement placement);
  [[nodiscard]] bool full(const Member& member) const;
  [[nodiscard]] Pool& pool_of(const Decision& decision);
  [[nodiscard]] bool begin_best(Decision& decision);
  void serve_waiting(Instant now);
  void append_candidates(const ContextPlan& plan, std::uint32_t first_class, const AffinityKey& key,
                         bool last_resort, Instant now, std::vector<Candidate>& order) const;

  std::shared_ptr<const Config> config_;
  const AffinitySecret secret_;
  std::map<EndpointId, Member> members_;
  EndpointId next_id_ = 0;
  std::vector<Pool> pools_;
  RetryBudget budget_;
  Ticket last_ticket_ = 0;
  std::map<Ticket, Placement> turns_;  // that have come, and not been taken
  std::vector<std::function<void()>> woken_;
};

}  // namespace truekeel::fleet
