// SPDX-License-Identifier: Apache-2.0
// What of another configuration a running gateway goes over to. Thread safety: pure functions.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fleet/config.h"

namespace truekeel::fleet {

struct ConfigChange {
  std::shared_ptr<const Config> config;    ///< the running one, with the models and pools of the wanted one
  std::vector<std::string> needs_restart;  ///< other keys of the file whose values differ
};

[[nodiscard]] ConfigChange change_to(const Config& running, Config wanted);

}  // namespace truekeel::fleet
