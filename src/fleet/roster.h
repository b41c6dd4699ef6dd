// SPDX-License-Identifier: Apache-2.0
// The numbers of endpoints, by which all parts of the gateway speak of them. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "fleet/config.h"

namespace truekeel::fleet {

/// Never used again: what a reload adds gets new ones, what it removes keeps its own until the last call
/// there has ended.
using EndpointId = std::uint32_t;

/// Which number each endpoint of a configuration has, in the configuration's order: one row for each pool.
using Roster = std::vector<std::vector<EndpointId>>;

/// Who has a number already; nothing for who is new.
using KnownEndpoints =
    std::function<std::optional<EndpointId>(const PoolConfig& pool, const EndpointConfig& endpoint)>;

/// Numbers a configuration's endpoints: who is known keeps his number, and the others get those from `next`
/// on, over all pools in the configuration's order. At the start nobody is known and the first is 0.
[[nodiscard]] Roster number_endpoints(const Config& config, EndpointId next = 0,
                                      const KnownEndpoints& known = {});

}  // namespace truekeel::fleet
