// SPDX-License-Identifier: Apache-2.0
#include "fleet/roster.h"

namespace truekeel::fleet {

Roster number_endpoints(const Config& config, EndpointId next, const KnownEndpoints& known) {
  Roster roster;
  for (const PoolConfig& pool : config.pools) {
    auto& ids = roster.emplace_back();
    for (const EndpointConfig& endpoint : pool.endpoints) {
      const auto id = known ? known(pool, endpoint) : std::nullopt;
      ids.push_back(id ? *id : next++);
    }
  }
  return roster;
}

}  // namespace truekeel::fleet
