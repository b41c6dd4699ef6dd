// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "fleet/config_address.h"
#include "fleet/config_sections.h"

namespace truekeel::fleet {
namespace {

constexpr double kDaySeconds = 86400;
constexpr std::size_t kLabelsMax = 16;
constexpr std::uint64_t kInFlightMax = 1'000'000;
constexpr std::uint64_t kQueueMax = 100'000;
constexpr NameRule kLabelValue{"._-/:@+", 128};

class PoolsReader {
 public:
  explicit PoolsReader(ConfigDraft& draft) : draft_(draft) {}

  void read_pool(const YamlEntry& entry);

 private:
  static void read_load(const Section& section, LoadSettings& load);
  EndpointConfig read_endpoint(const Place& place, const PoolConfig& pool);
  void read_url(const Section& section, const PoolConfig& pool, EndpointConfig& made);
  void read_engine(const Section& section, EndpointConfig& made);
  void read_labels(const Place& place, EndpointConfig& made);

  ConfigDraft& draft_;
  std::set<std::string> pool_names_;
  std::set<std::string> endpoint_names_;
};

void PoolsReader::read_pool(const YamlEntry& entry) {
  const Place at_name{&entry.key, "pools", &draft_.problems};
  const auto name = at_name.name(kPlainName);
  if (!name) return;
  if (!pool_names_.insert(*name).second) {
    at_name.wrong(fmt::format("duplicate key '{}'", *name), "give every pool its own name");
    return;
  }
  PoolConfig pool{*name, {}};
  const Section section(Place{&entry.value, "pools." + *name, &draft_.problems},
                        {"endpoints", "load_bound", "max_in_flight", "queue_max", "queue_timeout_s"});
  read_load(section, pool.load);
  if (const auto list = section.child("endpoints", Presence::required)) {
    for (const auto& item : list->items("endpoints")) {
      if (draft_.problems.full()) return;
      pool.endpoints.push_back(read_endpoint(item, pool));
    }
  }
  draft_.config.pools.push_back(std::move(pool));
  draft_.pools.push_back(at_name);
}

void PoolsReader::read_load(const Section& section, LoadSettings& load) {
  if (const auto bound = section.number("load_bound", {0, 100})) {
    load.bound_milli = static_cast<std::uint32_t>(std::lround(*bound * 1000));
    if (*bound > 0 && *bound < 1) {
      section.at("load_bound")
          .wrong("below its fair share every endpoint would be", "write 0 (off) or 1 to 100");
    }
  }
  if (const auto n = section.integer("max_in_flight", {0, kInFlightMax})) {
    load.max_in_flight = static_cast<std::uint32_t>(*n);
  }
  if (const auto n = section.integer("queue_max", {0, kQueueMax})) {
    load.queue_max = static_cast<std::uint32_t>(*n);
  }
  load.queue_timeout = section.seconds("queue_timeout_s", {0.1, kDaySeconds}).value_or(load.queue_timeout);
}

EndpointConfig PoolsReader::read_endpoint(const Place& place, const PoolConfig& pool) {
  const Section section(place, {"name", "url", "engine", "labels", "upstream_model", "api_key_env", "weight",
                                "timeout_s", "tls_ca"});
  EndpointConfig made;
  made.name = section.name("name", kPlainName).value_or("");
  if (!made.name.empty() && !endpoint_names_.insert(made.name).second) {
    section.at("name").wrong(fmt::format("the endpoint '{}' is there already", made.name),
                             "give every endpoint its own name, over all pools");
  }
  read_url(section, pool, made);
  read_engine(section, made);
  if (const auto labels = section.child("labels")) read_labels(*labels, made);
  made.upstream_model = section.name("upstream_model", kModelName, Presence::optional).value_or("");
  made.api_key_env = section.env_name("api_key_env");
  if (const auto weight = section.number("weight", {0.001, 1000})) {
    made.weight_milli = static_cast<std::uint32_t>(std::lround(*weight * 1000));
  }
  made.timeout = section.seconds("timeout_s", {0.1, kDaySeconds}).value_or(made.timeout);
  made.tls_ca = section.text("tls_ca").value_or("");
  if (!made.tls_ca.empty() && !made.url.tls) {
    section.at("tls_ca").wrong("the URL is not https, so nobody would look at it",
                               "write https:// or leave it out");
  }
  return made;
}

void PoolsReader::read_url(const Section& section, const PoolConfig& pool, EndpointConfig& made) {
  const auto place = section.child("url", Presence::required);
  const auto text = place ? place->text() : std::nullopt;
  if (!text) return;
  const auto url = parse_url(*text);
  if (!url) {
    place->wrong(url.error().message, "write http://HOST:PORT or https://HOST:PORT");
    return;
  }
  if (std::ranges::count(pool.endpoints, without_v1(*url), &EndpointConfig::url) > 0) {
    place->wrong("an endpoint of this pool has the same URL", "list a server once; weight gives it more");
  }
  made.url = without_v1(*url);
}

void PoolsReader::read_engine(const Section& section, EndpointConfig& made) {
  const auto place = section.child("engine", Presence::required);
  const auto text = place ? place->text() : std::nullopt;
  if (!text) return;
  if (const auto engine = engine_named(*text)) {
    made.engine = *engine;
  } else {
    place->wrong(
        fmt::format("unknown engine {}", quote(*text)),
        "write truekeel, llama.cpp, vllm, sglang, or openai for any other server that speaks its API");
  }
}

void PoolsReader::read_labels(const Place& place, EndpointConfig& made) {
  if (place.node->kind != YamlNode::Kind::map || place.node->entries.size() > kLabelsMax) {
    place.wrong(fmt::format("must be a map of at most {} labels", kLabelsMax),
                "write {hardware: cpu, version: v1}");
    return;
  }
  for (const auto& entry : place.node->entries) {
    const Place at_key{&entry.key, place.path, &draft_.problems};
    const auto key = at_key.name(kPlainName);
    if (!key) continue;
    const auto value = Place{&entry.value, place.path + "." + *key, &draft_.problems}.name(kLabelValue);
    if (value && !made.labels.emplace(*key, *value).second) {
      at_key.wrong(fmt::format("duplicate key '{}'", *key), "keep one");
    }
  }
}

}  // namespace

void read_pools(const Place& place, ConfigDraft& draft) {
  if (place.node->kind != YamlNode::Kind::map || place.node->entries.empty()) {
    place.wrong("must be a map from names to pools", "write 'NAME: {endpoints: […]}'");
    return;
  }
  if (place.node->entries.size() > kListMax) {
    place.wrong(fmt::format("has {} pools", place.node->entries.size()),
                fmt::format("list at most {}", kListMax));
    return;
  }
  PoolsReader reader(draft);
  for (const auto& entry : place.node->entries) {
    if (draft.problems.full()) return;
    reader.read_pool(entry);
  }
}

void resolve_pools(ConfigDraft& draft) {
  auto& pools = draft.config.pools;
  std::vector<std::string_view> names;
  names.reserve(pools.size());
  for (const auto& pool : pools) names.push_back(pool.name);
  std::vector<bool> used(pools.size());
  for (const auto& reference : draft.references) {
    auto& item = draft.config.models[reference.model].classes[reference.class_index];
    const auto found = std::ranges::find(names, item.pool);
    if (found == names.end()) {
      const auto meant = nearest(item.pool, names);
      reference.place.wrong(fmt::format("there is no pool '{}'", item.pool),
                            meant ? fmt::format("did you mean '{}'?", *meant)
                                  : fmt::format("add it under pools; there are: {}", fmt::join(names, ", ")));
      continue;
    }
    item.pool_index = static_cast<std::size_t>(found - names.begin());
    used[item.pool_index] = true;
  }
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (!used[i])
      draft.pools[i].wrong("no class names this pool", "name it in a model's classes or remove it");
  }
}

}  // namespace truekeel::fleet
