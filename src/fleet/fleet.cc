// SPDX-License-Identifier: Apache-2.0
#include "fleet/fleet.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace truekeel::fleet {
Refusal unknown_model(const Config& config, std::string_view name) {
  std::vector<std::string_view> served;
  served.reserve(config.models.size());
  for (const auto& model : config.models) served.push_back(model.name);
  return {RefusalKind::model_not_found, 404,
          fmt::format("the model '{}' is not served here; served are: {}", name, fmt::join(served, ", "))};
}

Fleet::Fleet(std::shared_ptr<const Config> config, const AffinitySecret& secret, Instant now)
    : config_(std::move(config)), secret_(secret), budget_(config_->retry, now) {
  for (const auto& pool : config_->pools) {
    const auto index = static_cast<std::uint32_t>(pools_.size());
    const auto first = static_cast<EndpointId>(members_.size());
    for (const auto& endpoint : pool.endpoints) {
      members_.push_back({.config = &endpoint,
                          .pool = index,
                          .id = member_id(endpoint.name, secret_),
                          .health = Health(config_->health)});
    }
    pools_.push_back({.first = first, .last = static_cast<EndpointId>(members_.size()), .load = &pool.load});
  }
}

bool Fleet::serves(const Member& member, bool last_resort, Instant now) {
  if (member.drained) return false;
  const bool ready = member.health.ready(now);
  return last_resort ? !ready && member.health.alive() : ready;
}

bool Fleet::serves(const Pool& pool, Instant now) const {
  return std::any_of(members_.begin() + pool.first, members_.begin() + pool.last, [&](const Member& member) {
    return serves(member, false, now) || serves(member, true, now);
  });
}

bool Fleet::begin(EndpointId endpoint) {
  TK_ASSERT(endpoint < members_.size());
  if (members_[endpoint].drained || full(members_[endpoint])) return false;
  ++members_[endpoint].in_flight;
  ++members_[endpoint].requests;
  return true;
}

void Fleet::end(EndpointId endpoint, Outcome outcome, const AffinityKey& key, Instant now) {
  TK_ASSERT(endpoint < members_.size() && members_[endpoint].in_flight > 0);
  Member& member = members_[endpoint];
  --member.in_flight;
  if (is_failure(outcome)) ++member.failures;
  if (member.health.on_outcome(outcome, key.hash, now) && may_eject(member, now)) member.health.eject(now);
  serve_waiting(now);
}

bool Fleet::may_eject(const Member& member, Instant now) const {
  const Pool& pool = pools_[member.pool];
  std::uint32_t ejected = 0, others_ready = 0;
  for (EndpointId id = pool.first; id < pool.last; ++id) {
    const Member& other = members_[id];
    if (now < other.health.ejected_until()) ++ejected;
    if (&other != &member && serves(other, false, now)) ++others_ready;
  }
  const double share = config_->health.max_ejected_fraction * (pool.last - pool.first);
  return others_ready > 0 && ejected < std::max<std::uint32_t>(1, static_cast<std::uint32_t>(share));
}

bool Fleet::take_retry(const FailedAttempt& failed, Instant now) {
  return may_retry(failed, config_->retry) && budget_.try_take(now);
}

void Fleet::on_probe(EndpointId endpoint, ProbeResult result, Instant now) {
  TK_ASSERT(endpoint < members_.size());
  members_[endpoint].probing = false;
  members_[endpoint].health.on_probe(result, now);
}

std::vector<EndpointId> Fleet::take_due_probes(Instant now) {
  serve_waiting(now);
  std::vector<EndpointId> due;
  for (EndpointId id = 0; id < members_.size(); ++id) {
    Member& member = members_[id];
    if (member.probing || now < member.health.probe_due()) continue;
    member.probing = true;
    due.push_back(id);
  }
  return due;
}

bool Fleet::set_drained(std::string_view endpoint, bool drained) {
  const auto id = find(endpoint);
  if (!id) return false;
  Member& member = members_[*id];
  if (drained && !member.drained) member.requests_at_drain = member.requests;
  member.drained = drained;
  return true;
}

bool Fleet::drain(std::string_view endpoint) { return set_drained(endpoint, true); }

bool Fleet::undrain(std::string_view endpoint) { return set_drained(endpoint, false); }

std::optional<std::uint64_t> Fleet::unstick(std::string_view pool) {
  const auto found = std::ranges::find(config_->pools, pool, &PoolConfig::name);
  if (found == config_->pools.end()) return std::nullopt;
  return ++pools_[static_cast<std::size_t>(found - config_->pools.begin())].epoch;
}

bool Fleet::ready(Instant now) const {
  return std::ranges::all_of(config_->models, [&](const ModelConfig& model) {
    return serves(pools_[model.classes.back().pool_index], now);
  });
}

bool Fleet::complete(Instant now) const {
  return std::ranges::all_of(config_->models, [&](const ModelConfig& model) {
    return std::ranges::all_of(model.classes, [&](const ContextClass& context_class) {
      return serves(pools_[context_class.pool_index], now);
    });
  });
}

std::uint64_t Fleet::epoch(std::size_t pool_index) const {
  TK_ASSERT(pool_index < pools_.size());
  return pools_[pool_index].epoch;
}

Fleet::Queue Fleet::queue(std::size_t pool_index, Instant now) const {
  TK_ASSERT(pool_index < pools_.size());
  const WaitQueue& queue = pools_[pool_index].queue;
  return {queue.size(), queue.empty() ? Duration{} : now - queue.front().since};
}

std::vector<std::uint32_t> Fleet::in_flight() const {
  std::vector<std::uint32_t> counts;
  for (const Member& member : members_) counts.push_back(member.in_flight);
  return counts;
}

MemberView Fleet::view(EndpointId endpoint, Instant now) const {
  TK_ASSERT(endpoint < members_.size());
  const Member& member = members_[endpoint];
  return {.config = member.config,
          .pool = &config_->pools[member.pool],
          .state = member.health.state(now),
          .drained = member.drained,
          .in_flight = member.in_flight,
          .requests = member.requests,
          .requests_since_drain = member.drained ? member.requests - member.requests_at_drain : 0,
          .failures = member.failures,
          .ejected_for = std::max(Duration::zero(), member.health.ejected_until() - now)};
}

const EndpointConfig& Fleet::endpoint(EndpointId id) const {
  TK_ASSERT(id < members_.size());
  return *members_[id].config;
}

std::optional<EndpointId> Fleet::find(std::string_view endpoint) const {
  for (EndpointId id = 0; id < members_.size(); ++id) {
    if (members_[id].config->name == endpoint) return id;
  }
  return std::nullopt;
}

}  // namespace truekeel::fleet
