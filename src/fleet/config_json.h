// SPDX-License-Identifier: Apache-2.0
// Parts of a Config as JSON, for the two reports that show them. Thread safety: pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include "fleet/config.h"

namespace truekeel::fleet {

[[nodiscard]] inline nlohmann::ordered_json model_json(const ModelConfig& model) {
  auto classes = nlohmann::ordered_json::array();
  for (const auto& item : model.classes) {
    classes.push_back({{"name", item.name}, {"max_tokens", item.max_tokens}, {"pool", item.pool}});
  }
  return {{"name", model.name},
          {"tokenizer", to_string(model.tokenizer)},
          {"default_max_output", model.default_max_output},
          {"classes", std::move(classes)}};
}

[[nodiscard]] inline nlohmann::ordered_json endpoint_json(const EndpointConfig& endpoint) {
  return {{"name", endpoint.name},
          {"url", to_string(endpoint.url)},
          {"engine", to_string(endpoint.engine)},
          {"labels", endpoint.labels},
          {"weight", endpoint.weight_milli / 1000.0}};
}

}  // namespace truekeel::fleet
