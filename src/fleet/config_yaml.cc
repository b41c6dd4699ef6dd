// SPDX-License-Identifier: Apache-2.0
// The schema's top: settings of the gateway itself, and what sections must agree on.
#include <fmt/format.h>

#include <algorithm>

#include "fleet/config.h"
#include "fleet/config_address.h"
#include "fleet/config_reader.h"
#include "fleet/config_sections.h"
#include "fleet/yaml_tree.h"

namespace truekeel::fleet {
namespace {

constexpr double kDaySeconds = 86400;

void read_address(const Section& top, std::string_view key, Address& address) {
  const auto place = top.child(key);
  const auto text = place ? place->text() : std::nullopt;
  if (!text) return;
  if (const auto parsed = parse_address(*text)) {
    address = *parsed;
  } else {
    place->wrong(fmt::format("{} is no address to listen on", quote(*text)),
                 "write IP:PORT, as in 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080");
  }
}

void read_limits(const Place& place, Limits& limits) {
  const Section section(place, {"body_mib", "connections", "header_s", "idle_s", "drain_s"});
  if (const auto mib = section.integer("body_mib", {1, 4096})) limits.body_bytes = *mib << 20;
  if (const auto n = section.integer("connections", {1, 1'000'000})) {
    limits.connections = static_cast<std::uint32_t>(*n);
  }
  limits.header = section.seconds("header_s", {0.1, kDaySeconds}).value_or(limits.header);
  limits.idle = section.seconds("idle_s", {0.1, kDaySeconds}).value_or(limits.idle);
  limits.drain = section.seconds("drain_s", {0, kDaySeconds}).value_or(limits.drain);
}

void read_tls(const Place& place, TlsConfig& tls) {
  const Section section(place, {"cert", "key"});
  tls.cert_file = section.text("cert", Presence::required).value_or("");
  tls.key_file = section.text("key", Presence::required).value_or("");
}

void read_clients(const Place& place, ClientsConfig& clients) {
  const Section section(place, {"keys", "concurrent", "requests_per_s"});
  clients.keys_file = section.text("keys", Presence::required).value_or("");
  if (const auto n = section.integer("concurrent", {1, kConcurrentMax})) {
    clients.limits.concurrent = static_cast<std::uint32_t>(*n);
  }
  clients.limits.requests_per_s = section.number("requests_per_s", {kRequestsPerSMin, kRequestsPerSMax})
                                      .value_or(clients.limits.requests_per_s);
}

void read_health(const Place& place, HealthSettings& health) {
  const Section section(place, {"probe_interval_s", "probe_timeout_s", "unready_after", "eject_after",
                                "ejection_s", "ejection_max_s", "max_ejected_fraction"});
  const auto count = [&](std::string_view key, std::uint32_t& value) {
    if (const auto n = section.integer(key, {1, 1000})) value = static_cast<std::uint32_t>(*n);
  };
  const auto seconds = [&](std::string_view key, Duration& value) {
    value = section.seconds(key, {0.05, kDaySeconds}).value_or(value);
  };
  seconds("probe_interval_s", health.probe_interval);
  seconds("probe_timeout_s", health.probe_timeout);
  count("unready_after", health.unready_after);
  count("eject_after", health.eject_after);
  seconds("ejection_s", health.ejection);
  seconds("ejection_max_s", health.ejection_max);
  health.max_ejected_fraction =
      section.number("max_ejected_fraction", {0, 1}).value_or(health.max_ejected_fraction);
  if (health.ejection_max < health.ejection) {
    section.at("ejection_max_s")
        .wrong("ejection_max_s is shorter than ejection_s", "make it at least as long");
  }
}

void read_retry(const Place& place, RetrySettings& retry) {
  const Section section(place, {"attempts", "budget_fraction", "min_per_s"});
  if (const auto n = section.integer("attempts", {1, 10})) retry.attempts = static_cast<std::uint32_t>(*n);
  retry.budget_fraction = section.number("budget_fraction", {0, 1}).value_or(retry.budget_fraction);
  retry.min_per_s = section.number("min_per_s", {0, 10'000}).value_or(retry.min_per_s);
}

bool has_tokenize(const EndpointConfig& endpoint) { return endpoint.engine != EngineKind::openai; }

void read_audit(const Place& place, AuditConfig& audit) {
  const Section section(place, {"sample", "top_logprobs"});
  audit.sample = section.number("sample", {0, 1}).value_or(audit.sample);
  if (const auto n = section.integer("top_logprobs", {1, 64}))
    audit.top_logprobs = static_cast<std::uint32_t>(*n);
}

void read_evidence(const Place& place, EvidenceConfig& evidence) {
  const Section section(place, {"false_alarms_per_day", "state_file"});
  evidence.false_alarms_per_day =
      section.number("false_alarms_per_day", {1e-6, 1000}).value_or(evidence.false_alarms_per_day);
  evidence.state_file = section.text("state_file").value_or("");
}

/// `tokenizer: endpoint` needs an endpoint that can count. Requires: the pools are resolved.
void check_tokenizers(const ConfigDraft& draft) {
  const auto& config = draft.config;
  for (std::size_t i = 0; i < config.models.size(); ++i) {
    const ModelConfig& model = config.models[i];
    if (model.tokenizer != TokenizerKind::endpoint) continue;
    const bool served = std::ranges::any_of(model.classes, [&](const ContextClass& item) {
      return std::ranges::any_of(config.pools[item.pool_index].endpoints, has_tokenize);
    });
    if (!served) {
      draft.tokenizers[i].wrong("no endpoint of this model can count: engine openai has no /tokenize",
                                "write gguf:PATH or bound");
    }
  }
}

void check_addresses(const Section& top, const Config& config) {
  const Place place = top.at("admin");
  if (!is_loopback(config.admin.host) && !top.child("admin_token_env")) {
    place.wrong("beyond loopback the admin port needs a token",
                "name the environment variable that holds it as admin_token_env, or write 127.0.0.1:9090");
  }
  if (config.admin.port != 0 && config.admin.port == config.listen.port) {
    place.wrong("listen and admin have the same port", "give admin another port");
  }
}

void read_top(const Section& top, ConfigDraft& draft) {
  Config& config = draft.config;
  read_address(top, "listen", config.listen);
  read_address(top, "admin", config.admin);
  config.admin_token_env = top.env_name("admin_token_env");
  config.affinity_secret_env = top.env_name("affinity_secret_env");
  if (const auto place = top.child("tls")) read_tls(*place, config.tls);
  if (const auto place = top.child("clients")) read_clients(*place, config.clients);
  if (const auto place = top.child("limits")) read_limits(*place, config.limits);
  if (const auto place = top.child("health")) read_health(*place, config.health);
  if (const auto place = top.child("retry")) read_retry(*place, config.retry);
  if (const auto place = top.child("audit")) read_audit(*place, config.audit);
  if (const auto place = top.child("evidence")) read_evidence(*place, config.evidence);
  read_keeping(top, config);
  if (const auto place = top.child("models", Presence::required)) read_models(*place, draft);
  if (const auto place = top.child("pools", Presence::required)) read_pools(*place, draft);
  check_addresses(top, config);
  resolve_pools(draft);
  if (draft.problems.empty()) check_tokenizers(draft);
}

std::unexpected<std::vector<ConfigProblem>> one_problem(int line, int column, std::string message,
                                                        std::string fix) {
  return std::unexpected(std::vector{ConfigProblem{line, column, "", std::move(message), std::move(fix)}});
}

}  // namespace

std::expected<Config, std::vector<ConfigProblem>> parse_config(std::string_view yaml) {
  if (yaml.size() > kMaxConfigBytes) {
    return one_problem(1, 1, fmt::format("the file has {} bytes, more than {}", yaml.size(), kMaxConfigBytes),
                       "is it the right file?");
  }
  auto tree = parse_yaml(yaml);
  if (!tree) {
    YamlFault& fault = tree.error();
    return one_problem(fault.line, fault.column, std::move(fault.message), std::move(fault.fix));
  }
  ConfigDraft draft;
  const Section top(
      Place{&*tree, "", &draft.problems},
      {"listen", "admin", "admin_token_env", "affinity_secret_env", "tls", "clients", "limits", "health",
       "retry", "audit", "evidence", "store", "keep_days", "webhook", "models", "pools"});
  if (tree->kind == YamlNode::Kind::map) read_top(top, draft);
  if (!draft.problems.empty()) return std::unexpected(draft.problems.take());
  return std::move(draft.config);
}

}  // namespace truekeel::fleet
