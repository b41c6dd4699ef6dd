// SPDX-License-Identifier: Apache-2.0
// The configuration while it is being read: what its sections hand to each other. Used by config_*.cc
// alone. Thread safety: none.
#pragma once

#include <vector>

#include "fleet/config.h"
#include "fleet/config_reader.h"

namespace truekeel::fleet {

/// Windows beyond 16 Mi tokens do not exist, and 32 bits hold every sum.
inline constexpr std::uint64_t kTokensMax = 1 << 24;

/// A class's mention of a pool, resolved once both are read.
struct PoolReference {
  Place place;
  std::size_t model;
  std::size_t class_index;
};

struct ConfigDraft {
  Problems problems;
  Config config;
  std::vector<PoolReference> references;
  std::vector<Place> tokenizers;  ///< beside Config::models
  std::vector<Place> pools;       ///< beside Config::pools
};

/// `store`, `keep_days` and `webhook`.
void read_keeping(const Section& top, Config& config);
void read_models(const Place& place, ConfigDraft& draft);
void read_pools(const Place& place, ConfigDraft& draft);

/// Points every class to its pool. Requires: models and pools have been read.
void resolve_pools(ConfigDraft& draft);

}  // namespace truekeel::fleet
