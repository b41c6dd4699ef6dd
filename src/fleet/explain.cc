// SPDX-License-Identifier: Apache-2.0
#include "fleet/explain.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fleet/config_json.h"

namespace truekeel::fleet {
namespace {

using Json = nlohmann::ordered_json;

Json tokens(const TokenRange& range) {
  if (range.exact()) return range.lower;
  return {{"min", range.lower}, {"max", range.bounded() ? Json(range.upper) : Json(nullptr)}};
}

Json member_json(const MemberView& member) {
  Json json = endpoint_json(*member.config);
  json["state"] = to_string(member.state);
  json["drained"] = member.drained;
  json["in_flight"] = member.in_flight;
  json["requests"] = member.requests;
  if (member.drained) json["requests_since_drain"] = member.requests_since_drain;
  json["failures"] = member.failures;
  if (member.ejected_for > Duration::zero()) {
    json["ejected_for_s"] = std::chrono::duration<double>(member.ejected_for).count();
  }
  return json;
}

}  // namespace

std::string explain_json(const Decision& decision, const Candidate& served, std::string_view fingerprint) {
  const auto& classes = decision.model->classes;
  const auto& served_class = classes[served.class_index];
  Json json = {{"model", decision.model->name},
               {"class", served_class.name},
               {"window", served_class.max_tokens},
               {"pool", served_class.pool},
               {"endpoint", served.config->name},
               {"epoch", served.epoch},
               {"counted", to_string(decision.counted)},
               {"prompt_tokens", tokens(decision.prompt)},
               {"max_output", decision.output.tokens},
               {"max_output_added", decision.output.added},
               {"affinity", to_string(decision.affinity.source)}};
  if (served.overflow) json["overflow_from"] = classes[decision.class_index].name;
  if (served.last_resort) json["last_resort"] = true;
  for (const auto id : decision.passed_over) {
    const auto better = std::ranges::find(decision.order, id, &Candidate::endpoint);
    json["passed_over"].push_back(better->config->name);
  }
  if (decision.waited > Duration::zero()) {
    json["waited_ms"] = std::chrono::ceil<std::chrono::milliseconds>(decision.waited).count();
  }
  if (!fingerprint.empty()) json["fingerprint"] = fingerprint;
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string fleet_json(const Fleet& fleet, Instant now) {
  Json json;
  for (const auto& model : fleet.config()->models) json["models"].push_back(model_json(model));
  const auto& pools = fleet.config()->pools;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    Json endpoints = Json::array();
    for (const EndpointId id : fleet.endpoints()) {
      const auto member = fleet.view(id, now);
      if (member.pool == &pools[i]) endpoints.push_back(member_json(member));
    }
    json["pools"].push_back({{"name", pools[i].name},
                             {"epoch", fleet.epoch(i)},
                             {"load_bound", pools[i].load.bound_milli / 1000.0},
                             {"max_in_flight", pools[i].load.max_in_flight},
                             {"waiting", fleet.queue(i, now).waiting},
                             {"endpoints", std::move(endpoints)}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace truekeel::fleet
