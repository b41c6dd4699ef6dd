// SPDX-License-Identifier: Apache-2.0
// Another configuration while requests are under way.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "fleet/fleet.h"

namespace truekeel::fleet {
namespace {

/// The same server, however its other settings change.
bool is_same(const PoolConfig& pool, const EndpointConfig& a, const PoolConfig& other,
             const EndpointConfig& b) {
  return pool.name == other.name && a.name == b.name && a.url == b.url && a.engine == b.engine &&
         a.upstream_model == b.upstream_model;
}

}  // namespace

Roster Fleet::roster_for(const Config& config) const {
  const auto known = [this](const PoolConfig& pool, const EndpointConfig& endpoint) {
    const auto id = find(endpoint.name);
    const Member* const member = id ? &at(*id) : nullptr;
    const bool stays =
        member != nullptr && is_same(pool, endpoint, member->held->pools[member->pool], *member->config);
    return stays ? id : std::nullopt;
  };
  return number_endpoints(config, next_id_, known);
}

/// Requires: the roster is that of config_, and pools_ is empty.
void Fleet::add_pools(const Roster& roster) {
  TK_ASSERT(pools_.empty() && roster.size() == config_->pools.size());
  for (std::size_t i = 0; i < roster.size(); ++i) {
    const PoolConfig& pool = config_->pools[i];
    pools_.push_back({.members = roster[i], .load = &pool.load});
    for (std::size_t n = 0; n < roster[i].size(); ++n) {
      const EndpointConfig& endpoint = pool.endpoints[n];
      const Member made{.held = config_,
                        .config = &endpoint,
                        .pool = static_cast<std::uint32_t>(i),
                        .id = member_id(endpoint.name, secret_),
                        .health = Health(config_->health)};
      const auto [place, fresh] = members_.try_emplace(roster[i][n], made);
      if (fresh) {
        TK_ASSERT(place->first == next_id_);
        ++next_id_;
      } else {
        place->second.held = made.held;
        place->second.config = made.config;
        place->second.pool = made.pool;
      }
    }
  }
}

void Fleet::replace(std::shared_ptr<const Config> config, Instant now) {
  const Roster roster = roster_for(*config);
  const auto before = std::exchange(config_, std::move(config));
  auto pools_before = std::exchange(pools_, {});
  std::vector<std::string_view> drained;
  for (const auto& [id, member] : members_) {
    if (!member.removed && member.drained) drained.push_back(member.config->name);
  }
  std::vector<EndpointId> left;
  for (const Pool& pool : pools_before) left.insert(left.end(), pool.members.begin(), pool.members.end());

  add_pools(roster);
  for (const auto& ids : roster) {
    for (const EndpointId id : ids) std::erase(left, id);
  }
  for (const EndpointId id : left) {
    members_.at(id).removed = true;
    if (members_.at(id).in_flight == 0) members_.erase(id);
  }
  for (const auto name : drained) static_cast<void>(drain(name));
  std::vector<Waiter> waiters;
  for (std::size_t i = 0; i < pools_before.size(); ++i) {
    const auto same = std::ranges::find(config_->pools, before->pools[i].name, &PoolConfig::name);
    if (same != config_->pools.end()) pools_[same - config_->pools.begin()].epoch = pools_before[i].epoch;
  }
  for (Pool& pool : pools_before) {
    while (!pool.queue.empty()) waiters.push_back(pool.queue.pop());
  }
  queue_again(std::move(waiters), now);
}

}  // namespace truekeel::fleet
