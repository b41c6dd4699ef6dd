// SPDX-License-Identifier: Apache-2.0
#include "fleet/config_change.h"

#include <utility>

namespace truekeel::fleet {

ConfigChange change_to(const Config& running, Config wanted) {
  ConfigChange change;
  const auto compare = [&]<class T>(const char* key, T Config::* part) {
    if (running.*part == wanted.*part) return;
    change.needs_restart.emplace_back(key);
    wanted.*part = running.*part;
  };
  compare("listen", &Config::listen);
  compare("admin", &Config::admin);
  compare("admin_token_env", &Config::admin_token_env);
  compare("affinity_secret_env", &Config::affinity_secret_env);
  compare("tls", &Config::tls);
  compare("clients", &Config::clients);
  compare("limits", &Config::limits);
  compare("health", &Config::health);
  compare("retry", &Config::retry);
  compare("store or keep_days", &Config::store);
  compare("webhook", &Config::webhook);
  compare("audit", &Config::audit);
  compare("evidence", &Config::evidence);
  auto config = std::make_shared<Config>(running);
  config->models = std::move(wanted.models);
  config->pools = std::move(wanted.pools);
  // A part that is not named above is not taken over either.
  wanted.models = config->models;
  wanted.pools = config->pools;
  if (wanted != *config) change.needs_restart.emplace_back("other settings");
  change.config = std::move(config);
  return change;
}

}  // namespace truekeel::fleet
