// SPDX-License-Identifier: Apache-2.0
// Where tests find the real model. For tests alone.
#pragma once

#include <cstdlib>
#include <string>

namespace truekeel::engine {

/// TRUEKEEL_MODEL where set, else the default model that ./dev keeps.
[[nodiscard]] inline std::string test_model_path() {
  const char* named = std::getenv("TRUEKEEL_MODEL");
  return named != nullptr ? named : TRUEKEEL_TEST_MODEL;
}

}  // namespace truekeel::engine
