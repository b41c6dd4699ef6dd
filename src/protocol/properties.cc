// SPDX-License-Identifier: Apache-2.0
#include "protocol/properties.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

namespace truekeel::protocol {
namespace {

using Json = nlohmann::json;

struct Neutral {
  const char* field;
  double value;
};

/// What these say when they do nothing.
constexpr std::array<Neutral, 11> kNeutral = {{{"dynatemp_range", 0},
                                               {"top_n_sigma", -1},
                                               {"xtc_probability", 0},
                                               {"typical_p", 1},
                                               {"repeat_penalty", 1},
                                               {"presence_penalty", 0},
                                               {"frequency_penalty", 0},
                                               {"dry_multiplier", 0},
                                               {"mirostat", 0},
                                               {"adaptive_target", -1},
                                               {"min_keep", 0}}};

std::optional<double> number(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

/// The four samplers that are modelled, in llama.cpp's usual order; the others are neutral.
bool usual_order(const Json& params) {
  const auto samplers = params.find("samplers");
  if (samplers == params.end() || !samplers->is_array()) return false;
  std::string order;
  for (const auto& each : *samplers) {
    if (!each.is_string()) return false;
    const auto& name = each.get_ref<const std::string&>();
    if (name == "top_k" || name == "top_p" || name == "min_p" || name == "temperature") order += name + " ";
  }
  return order == "top_k top_p min_p temperature ";
}

}  // namespace

Result<ServerProperties> read_llama_properties(std::string_view json) {
  const Json root = Json::parse(json, nullptr, false);
  const auto absent = [] {
    return fail(ErrorCode::invalid_argument, "/props has no default_generation_settings.params");
  };
  if (!root.is_object() || !root.contains("default_generation_settings")) return absent();
  const Json& settings = root["default_generation_settings"];
  if (!settings.is_object() || !settings.contains("params") || !settings["params"].is_object())
    return absent();
  const Json& params = settings["params"];
  ServerProperties properties{.temperature = number(params, "temperature"),
                              .top_p = number(params, "top_p"),
                              .min_p = number(params, "min_p"),
                              .top_k = {}};
  constexpr double kMost = std::numeric_limits<std::int32_t>::max();
  if (const auto k = number(params, "top_k"))
    properties.top_k = static_cast<std::int64_t>(std::clamp(*k, -kMost, kMost));
  properties.plain = usual_order(params);
  for (const auto& neutral : kNeutral)
    if (const auto value = number(params, neutral.field); value && *value != neutral.value)
      properties.plain = false;
  return properties;
}

}  // namespace truekeel::protocol
