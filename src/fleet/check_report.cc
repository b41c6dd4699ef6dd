// SPDX-License-Identifier: Apache-2.0
#include "fleet/check_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "fleet/config_json.h"

namespace truekeel::fleet {
namespace {

using Json = nlohmann::ordered_json;

Json pool_json(const PoolConfig& pool) {
  Json endpoints = Json::array();
  for (const auto& item : pool.endpoints) {
    endpoints.push_back(endpoint_json(item));
  }
  return {{"name", pool.name}, {"endpoints", std::move(endpoints)}};
}

}  // namespace

std::string check_text(std::string_view file, const ParsedConfig& parsed) {
  std::string text;
  if (!parsed) {
    for (const auto& problem : parsed.error()) text += format_problem(file, problem) + "\n";
    if (parsed.error().size() == kMaxProblems) text += "There may be more; mend these first.\n";
    return text;
  }
  text = summary(*parsed);
  for (const auto& sentence : advice(*parsed)) text += "note: " + sentence + "\n";
  return text + fmt::format("{}: fine\n", file);
}

std::string check_json(std::string_view file, const ParsedConfig& parsed) {
  Json json = {{"file", file}, {"valid", parsed.has_value()}, {"problems", Json::array()}};
  if (!parsed) {
    for (const auto& problem : parsed.error()) {
      json["problems"].push_back({{"line", problem.line},
                                  {"column", problem.column},
                                  {"path", problem.path},
                                  {"message", problem.message},
                                  {"fix", problem.fix}});
    }
  } else {
    json["listen"] = to_string(parsed->listen);
    json["admin"] = to_string(parsed->admin);
    json["advice"] = advice(*parsed);
    for (const auto& model : parsed->models) json["models"].push_back(model_json(model));
    for (const auto& pool : parsed->pools) json["pools"].push_back(pool_json(pool));
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace truekeel::fleet
