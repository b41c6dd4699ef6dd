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
  add_pools(roster_for(*config_));
}

const Fleet::Member& Fleet::at(EndpointId id) const {
  const auto found = members_.find(id);
  TK_ASSERT(found != members_.end());
  return found->second;
}

bool Fleet::serves(const Member& member, bool last_resort, Instant now) {
  if (member.drained || member.removed) return false;
  const bool ready = member.health.ready(now);
  return last_resort ? !ready && member.health.alive() : ready;
}

bool Fleet::serves(const Pool& pool, Instant now) const {
  return std::ranges::any_of(
      pool.members, [&](EndpointId id) { return serves(at(id), false, now) || serves(at(id), true, now); });
}

bool Fleet::begin(EndpointId endpoint) {
  const auto found = members_.find(endpoint);
  if (found == members_.end()) return false;
  Member& member = found->second;
  if (member.removed || member.drained || full(member)) return false;
  ++member.in_flight;
  ++member.requests;
  return true;
}

void Fleet::end(EndpointId endpoint, Outcome outcome, const AffinityKey& key, Instant now) {
  const auto found = members_.find(endpoint);
  TK_ASSERT(found != members_.end() && found->second.in_flight > 0);
  Member& member = found->second;
  --member.in_flight;
  if (member.removed) {
    if (member.in_flight == 0) members_.erase(found);
    return;
  }
  if (is_failure(outcome)) ++member.failures;
  if (member.health.on_outcome(outcome, key.hash, now) && may_eject(member, now)) member.health.eject(now);
  serve_waiting(now);
}

bool Fleet::may_eject(const Member& suspect, Instant now) const {
  const Pool& pool = pools_[suspect.pool];
  std::uint32_t ejected = 0, others_ready = 0;
  for (const EndpointId id : pool.members) {
    const Member& other = at(id);
    if (now < other.health.ejected_until()) ++ejected;
    if (&other != &suspect && serves(other, false, now)) ++others_ready;
  }
  const double share = config_->health.max_ejected_fraction * static_cast<double>(pool.members.size());
  return others_ready > 0 && ejected < std::max<std::uint32_t>(1, static_cast<std::uint32_t>(share));
}

bool Fleet::take_retry(const FailedAttempt& failed, Instant now) {
  return may_retry(failed, config_->retry) && budget_.try_take(now);
}

void Fleet::on_probe(EndpointId endpoint, ProbeResult result, Instant now) {
  const auto found = members_.find(endpoint);
  if (found == members_.end()) return;  // removed meanwhile
  found->second.probing = false;
  found->second.health.on_probe(result, now);
}

std::vector<EndpointId> Fleet::take_due_probes(Instant now) {
  serve_waiting(now);
  std::vector<EndpointId> due;
  for (auto& [id, member] : members_) {
    if (member.removed || member.probing || now < member.health.probe_due()) continue;
    member.probing = true;
    due.push_back(id);
  }
  return due;
}

bool Fleet::set_drained(std::string_view endpoint, bool drained) {
  const auto id = find(endpoint);
  if (!id) return false;
  Member& member = members_.at(*id);
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

std::vector<EndpointId> Fleet::endpoints() const {
  std::vector<EndpointId> ids;
  for (const Pool& pool : pools_) ids.insert(ids.end(), pool.members.begin(), pool.members.end());
  return ids;
}

std::vector<std::pair<EndpointId, std::uint32_t>> Fleet::in_flight() const {
  std::vector<std::pair<EndpointId, std::uint32_t>> counts;
  for (const auto& [id, member] : members_) counts.emplace_back(id, member.in_flight);
  return counts;
}

MemberView Fleet::view(EndpointId endpoint, Instant now) const {
  const Member& member = at(endpoint);
  return {.held = member.held,
          .config = member.config,
          .pool = &member.held->pools[member.pool],
          .state = member.health.state(now),
          .drained = member.drained,
          .in_flight = member.in_flight,
          .requests = member.requests,
          .requests_since_drain = member.drained ? member.requests - member.requests_at_drain : 0,
          .failures = member.failures,
          .ejected_for = std::max(Duration::zero(), member.health.ejected_until() - now)};
}

const EndpointConfig& Fleet::endpoint(EndpointId id) const { return *at(id).config; }

std::optional<EndpointId> Fleet::find(std::string_view endpoint) const {
  for (const auto& [id, member] : members_) {
    if (!member.removed && member.config->name == endpoint) return id;
  }
  return std::nullopt;
}

}  // namespace truekeel::fleet
