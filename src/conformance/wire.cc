// SPDX-License-Identifier: Apache-2.0
#include "conformance/wire.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <ranges>

#include "conformance/json.h"

namespace truekeel::conformance {
namespace {

using Json = nlohmann::ordered_json;

/// The word of each value of an enumeration, in the order of the values.
template <class Enum>
struct Words;
template <>
struct Words<Step> {
  static constexpr std::array kAll = {"bias", "penalties", "temperature", "top_k", "top_p", "min_p"};
};
template <>
struct Words<Ties> {
  static constexpr std::array kAll = {"by_id", "keep_all", "any"};
};
template <>
struct Words<TopPRule> {
  static constexpr std::array kAll = {"reaches", "exceeds"};
};
template <>
struct Words<TopPMass> {
  static constexpr std::array kAll = {"kept", "vocabulary"};
};
template <>
struct Words<Seeding> {
  static constexpr std::array kAll = {"keyed", "stream", "none"};
};
template <>
struct Words<IntervalOrder> {
  static constexpr std::array kAll = {"by_id", "descending", "any"};
};
template <>
struct Words<Dtype> {
  static constexpr std::array kAll = {"fp32", "fp16", "bf16"};
};
template <>
struct Words<Edge> {
  static constexpr std::array kAll = {
      "nan_logit",       "plus_infinity", "all_forbidden",  "temperature_zero", "temperature_negative",
      "temperature_nan", "top_k_zero",    "top_k_negative", "top_p_zero",       "top_p_above_one"};
};
template <>
struct Words<EdgeRule> {
  static constexpr std::array kAll = {"refused", "greedy", "off", "undefined"};
};

template <class Enum>
const char* word(Enum value) {
  return Words<Enum>::kAll[static_cast<std::size_t>(value)];
}

template <class Enum>
Result<Enum> value_of(const std::string& text, std::string_view field) {
  std::string words;
  for (std::size_t i = 0; i < Words<Enum>::kAll.size(); ++i) {
    if (text == Words<Enum>::kAll[i]) return static_cast<Enum>(i);
    words += std::string(i == 0 ? "" : ", ") + Words<Enum>::kAll[i];
  }
  return fail(ErrorCode::invalid_argument, fmt::format("{}: \"{}\" is none of {}", field, text, words));
}

Json number(float value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

/// Reads optional fields of one object; the first that is wrong is the error.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  void read(const char* name, std::string& to) { as<std::string>(name, &Json::is_string, "a string", to); }
  void read(const char* name, bool& to) { as<bool>(name, &Json::is_boolean, "true or false", to); }
  void read(const char* name, double& to) { as<double>(name, &Json::is_number, "a number", to); }
  void read(const char* name, std::uint32_t& to) {
    std::uint64_t wide = to;
    as<std::uint64_t>(name, &Json::is_number_unsigned, "a whole number", wide);
    to = static_cast<std::uint32_t>(std::min<std::uint64_t>(wide, std::numeric_limits<std::uint32_t>::max()));
  }

  template <class Enum>
    requires std::is_enum_v<Enum>
  void read(const char* name, Enum& to) {
    std::string text = word(to);
    read(name, text);
    keep(value_of<Enum>(text, name), [&](Enum value) { to = value; });
  }

  template <class Item, class Take>
  void each(const char* name, const Take& take) {
    const auto found = object_.find(name);
    if (found == object_.end()) return;
    if (!found->is_structured()) return refuse(name, "a list");
    for (const auto& [key, item] : found->items()) {
      if (!item.is_string()) return refuse(name, "made of strings");
      take(key, item.template get<std::string>());
    }
  }

  template <class T, class Take>
  void keep(const Result<T>& result, const Take& take) {
    if (result)
      take(*result);
    else if (!error_)
      error_ = result.error();
  }

  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  template <class T, class To>
  void as(const char* name, bool (Json::*is)() const noexcept, const char* wanted, To& to) {
    const auto found = object_.find(name);
    if (found == object_.end()) return;
    if (!((*found).*is)()) return refuse(name, wanted);
    to = found->template get<T>();
  }

  void refuse(const char* name, const char* wanted) {
    if (!error_) error_ = Error{ErrorCode::invalid_argument, fmt::format("{} must be {}", name, wanted)};
  }

  const Json& object_;
  std::optional<Error> error_;
};

std::vector<std::string> decimals(const std::vector<std::uint64_t>& values) {
  std::vector<std::string> texts;
  for (std::uint64_t value : values) texts.push_back(std::to_string(value));
  return texts;
}

Result<Json> parse(std::string_view line) {
  Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return fail(ErrorCode::invalid_argument,
                fmt::format("not a JSON object: {}", line.substr(0, std::min<std::size_t>(line.size(), 80))));
  return json;
}

Result<Draw> read_draw(const Json& item) {
  if (item.is_string()) return Draw(std::unexpected(item.get<std::string>()));
  if (!item.is_number_integer() || item < std::numeric_limits<TokenId>::min() ||
      item > std::numeric_limits<TokenId>::max())
    return fail(ErrorCode::invalid_argument, "a draw is neither a token id nor the words of a refusal");
  return Draw(item.get<TokenId>());
}

}  // namespace

Json json_of(const Row& row) {
  const Params& params = row.params;
  Json json;
  json["logits"] = Json::array();
  for (float logit : row.logits) json["logits"].push_back(number(logit));
  const auto unless_off = [&](const char* name, float value, float off) {
    if (!(value == off)) json[name] = number(value);
  };
  unless_off("temperature", params.temperature, 1);
  if (params.top_k) json["top_k"] = *params.top_k;
  unless_off("top_p", params.top_p, 1);
  unless_off("min_p", params.min_p, 0);
  unless_off("presence", params.presence, 0);
  unless_off("frequency", params.frequency, 0);
  unless_off("repetition", params.repetition, 1);
  for (const auto& [id, bias] : params.bias) json["bias"].push_back({id, number(bias)});
  if (!row.history.empty()) json["history"] = row.history;
  if (row.seed) json["seed"] = std::to_string(*row.seed);
  json["position"] = std::to_string(row.position);
  return json;
}

Json json_of(const Semantics& semantics) {
  Json json;
  json["name"] = semantics.name;
  json["version"] = semantics.version;
  for (Step step : semantics.chain) json["chain"].push_back(word(step));
  json["greedy_ties"] = word(semantics.greedy_ties);
  json["top_k_ties"] = word(semantics.top_k_ties);
  json["top_p_ties"] = word(semantics.top_p_ties);
  json["top_p_rule"] = word(semantics.top_p_rule);
  json["top_p_mass"] = word(semantics.top_p_mass);
  json["injects"] = semantics.injects;
  json["seeding"] = word(semantics.seeding);
  json["interval_order"] = word(semantics.interval_order);
  json["resolution"] = semantics.resolution;
  json["smallest_weight"] = semantics.smallest_weight;
  json["dtype"] = word(semantics.dtype);
  json["batch_max"] = semantics.batch_max;
  json["batch_invariant"] = semantics.batch_invariant;
  json["shards_max"] = semantics.shards_max;
  json["threads_max"] = semantics.threads_max;
  json["targets"] = semantics.targets;
  json["strided"] = semantics.strided;
  json["edges"] = Json::object();
  for (const auto& [edge, rule] : semantics.edges) json["edges"][word(edge)] = word(rule);
  return json;
}

std::string semantics_json(const Semantics& semantics) { return json_of(semantics).dump(); }

Result<std::vector<Step>> read_chain(std::string_view text) {
  std::vector<Step> chain;
  for (const auto part : std::views::split(text, ',')) {
    const auto step = value_of<Step>(std::string(part.begin(), part.end()), "chain");
    if (!step) return std::unexpected(step.error());
    chain.push_back(*step);
  }
  return chain;
}

std::string hello_line() { return Json{{"op", "hello"}, {"protocol", kProtocol}}.dump(); }

std::string call_line(const Call& call, std::uint64_t id) {
  Json json = {{"op", "draw"}, {"id", id}, {"steps", call.steps}};
  for (const Row& row : call.rows) json["rows"].push_back(json_of(row));
  if (!call.uniforms.empty()) json["uniforms"] = decimals(call.uniforms);
  if (!call.shards.empty()) json["shards"] = call.shards;
  if (call.threads > 1) json["threads"] = call.threads;
  if (!call.target.empty()) json["target"] = call.target;
  if (call.row_padding > 0) json["row_padding"] = call.row_padding;
  return json.dump();
}

Result<Semantics> read_semantics(std::string_view line) {
  const auto json = parse(line);
  if (!json) return std::unexpected(json.error());
  const auto object = json->find("semantics");
  if (object == json->end() || !object->is_object())
    return fail(ErrorCode::invalid_argument, "the answer to hello lacks the object \"semantics\"");
  Semantics semantics;
  Fields fields(*object);
  fields.read("name", semantics.name);
  fields.read("version", semantics.version);
  if (object->contains("chain")) semantics.chain.clear();
  fields.each<std::string>("chain", [&](const std::string&, const std::string& text) {
    fields.keep(value_of<Step>(text, "chain"), [&](Step step) { semantics.chain.push_back(step); });
  });
  fields.read("greedy_ties", semantics.greedy_ties);
  fields.read("top_k_ties", semantics.top_k_ties);
  fields.read("top_p_ties", semantics.top_p_ties);
  fields.read("top_p_rule", semantics.top_p_rule);
  fields.read("top_p_mass", semantics.top_p_mass);
  fields.read("injects", semantics.injects);
  fields.read("seeding", semantics.seeding);
  fields.read("interval_order", semantics.interval_order);
  fields.read("resolution", semantics.resolution);
  fields.read("smallest_weight", semantics.smallest_weight);
  fields.read("dtype", semantics.dtype);
  fields.read("batch_max", semantics.batch_max);
  fields.read("batch_invariant", semantics.batch_invariant);
  fields.read("shards_max", semantics.shards_max);
  fields.read("threads_max", semantics.threads_max);
  fields.each<std::string>(
      "targets", [&](const std::string&, const std::string& text) { semantics.targets.push_back(text); });
  fields.read("strided", semantics.strided);
  fields.each<std::string>("edges", [&](const std::string& key, const std::string& text) {
    fields.keep(value_of<Edge>(key, "edges"), [&](Edge edge) {
      fields.keep(value_of<EdgeRule>(text, key), [&](EdgeRule rule) { semantics.edges[edge] = rule; });
    });
  });
  if (fields.error()) return std::unexpected(*fields.error());
  if (semantics.name.empty()) return fail(ErrorCode::invalid_argument, "semantics.name is missing");
  return semantics;
}

Result<std::vector<Draw>> read_draws(std::string_view line, const Call& call, std::uint64_t id) {
  const auto json = parse(line);
  if (!json) return std::unexpected(json.error());
  const auto of = json->find("id");
  if (of == json->end() || !of->is_number_unsigned() || of->get<std::uint64_t>() != id)
    return fail(ErrorCode::invalid_argument, fmt::format("the answer is not to call {}", id));
  if (const auto error = json->find("error"); error != json->end() && error->is_string())
    return fail(ErrorCode::unavailable, error->get<std::string>());
  const auto tokens = json->find("tokens");
  if (tokens == json->end() || !tokens->is_array() || tokens->size() != call.steps)
    return fail(ErrorCode::invalid_argument, fmt::format("\"tokens\" must list {} steps", call.steps));
  std::vector<Draw> draws;
  for (const Json& step : *tokens) {
    if (!step.is_array() || step.size() != call.rows.size())
      return fail(ErrorCode::invalid_argument,
                  fmt::format("each step of \"tokens\" must list {} rows", call.rows.size()));
    for (const Json& item : step) {
      auto draw = read_draw(item);
      if (!draw) return std::unexpected(draw.error());
      draws.push_back(std::move(*draw));
    }
  }
  return draws;
}

}  // namespace truekeel::conformance
