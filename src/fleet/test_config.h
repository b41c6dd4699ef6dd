// SPDX-License-Identifier: Apache-2.0
// A small fleet for tests: pools short (2,048) and long (32,768), model "m". Not thread safe to build.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>

#include "fleet/config.h"

namespace truekeel::fleet {

inline PoolConfig test_pool(std::string name, std::initializer_list<const char*> endpoints) {
  PoolConfig pool{std::move(name), {}};
  for (const char* endpoint : endpoints) {
    EndpointConfig made;
    made.name = endpoint;
    made.url.host = "127.0.0.1";
    made.url.port = static_cast<std::uint16_t>(9000 + pool.endpoints.size());
    pool.endpoints.push_back(std::move(made));
  }
  return pool;
}

inline Config test_config(std::initializer_list<const char*> short_pool = {"s1", "s2", "s3"},
                          std::initializer_list<const char*> long_pool = {"l1", "l2"}) {
  Config config;
  config.pools = {test_pool("short", short_pool), test_pool("long", long_pool)};
  ModelConfig model;
  model.name = "m";
  model.classes = {{"short", 2048, "short", 0}, {"long", 32768, "long", 1}};
  config.models = {model};
  return config;
}

}  // namespace truekeel::fleet
