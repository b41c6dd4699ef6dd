// SPDX-License-Identifier: Apache-2.0
// The state of the fleet and the routing decision. Thread safety: none of its own; the gateway guards one
// Fleet with one mutex. That is enough: route() takes under 2 us for 8 members, all others less,
// while the work that is long (bounds, hashing the prompt, counting) needs the immutable Config alone and
// happens outside the lock. Invariants: a request is never given an endpoint of a smaller window than it
// needs; drained endpoints get nothing; a pool's last ready member is never ejected.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "fleet/affinity.h"
#include "fleet/config.h"
#include "fleet/context_class.h"
#include "fleet/health.h"
#include "fleet/retry_budget.h"

namespace truekeel::fleet {

/// Index of an endpoint over all pools, in the order of the configuration.
using EndpointId = std::uint32_t;

/// An endpoint that may serve a request, and as which class.
struct Candidate {
  EndpointId endpoint = 0;
  const EndpointConfig* config = nullptr;  ///< lives as long as Decision::config
  std::uint32_t class_index = 0;
  std::uint64_t epoch = 0;   ///< of its pool, when the decision was taken
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
  std::vector<Candidate> order;  ///< best first, never empty; the rest is for retries
};

enum class RefusalKind { context_length_exceeded, model_not_found, no_endpoint };

/// Why a request goes nowhere, for the provider's error shape.
struct Refusal {
  RefusalKind kind = RefusalKind::no_endpoint;
  int status = 503;
  std::string message;
};

[[nodiscard]] Refusal unknown_model(const Config& config, std::string_view name);

/// One endpoint as the admin API shows it.
struct MemberView {
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

  /// Requires: the plan is of this Config's models and needs no count any more.
  [[nodiscard]] std::expected<Decision, Refusal> route(const ContextPlan& plan, const AffinityKey& key,
                                                       Instant now) const;

  /// A request goes to an endpoint, and has ended there. Each begin has one end, but for one that gave false:
  /// the endpoint was drained after the decision, and gets nothing.
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

  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] std::uint64_t epoch(std::size_t pool_index) const;
  /// Requests under way, by endpoint.
  [[nodiscard]] std::vector<std::uint32_t> in_flight() const;
  [[nodiscard]] MemberView view(EndpointId endpoint, Instant now) const;
  [[nodiscard]] const EndpointConfig& endpoint(EndpointId id) const;
  [[nodiscard]] std::optional<EndpointId> find(std::string_view endpoint) const;
  [[nodiscard]] const std::shared_ptr<const Config>& config() const { return config_; }

 private:
  struct Member {
    const EndpointConfig* config;
    std::uint32_t pool;
    std::uint64_t id;
    Health health;
    bool drained = false;
    bool probing = false;
    std::uint32_t in_flight = 0;
    std::uint64_t requests = 0;
    std::uint64_t requests_at_drain = 0;
    std::uint64_t failures = 0;
  };
  struct Pool {
    EndpointId first = 0;  ///< its members are [first, last)
    EndpointId last = 0;
    std::uint64_t epoch = 0;
  };

  [[nodiscard]] static bool serves(const Member& member, bool last_resort, Instant now);
  [[nodiscard]] bool serves(const Pool& pool, Instant now) const;
  [[nodiscard]] bool may_eject(const Member& member, Instant now) const;
  [[nodiscard]] bool set_drained(std::string_view endpoint, bool drained);
  void append_candidates(const ContextPlan& plan, std::uint32_t first_class, const AffinityKey& key,
                         bool last_resort, Instant now, std::vector<Candidate>& order) const;

  const std::shared_ptr<const Config> config_;
  const AffinitySecret secret_;
  std::vector<Member> members_;
  std::vector<Pool> pools_;
  RetryBudget budget_;
};

}  // namespace truekeel::fleet
