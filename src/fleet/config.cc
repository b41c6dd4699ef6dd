// SPDX-License-Identifier: Apache-2.0
#include "fleet/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace truekeel::fleet {
namespace {

std::string endpoint_words(const EndpointConfig& endpoint) {
  std::string words =
      fmt::format("{} {} ({}", endpoint.name, to_string(endpoint.url), to_string(endpoint.engine));
  if (endpoint.weight_milli != 1000) words += fmt::format(", weight {}", endpoint.weight_milli / 1000.0);
  if (!endpoint.upstream_model.empty()) words += ", model " + endpoint.upstream_model;
  return words + ")";
}

/// Engines whose answers are audited, and that do not tell what they do when a request is silent.
bool hides_defaults(EngineKind engine) { return engine == EngineKind::vllm || engine == EngineKind::sglang; }

/// What is missing for the audit of requests that state no temperature; empty where nothing is.
std::string silent_defaults(const Config& config, const ModelConfig& model) {
  if (model.defaults.temperature) return "";
  std::vector<std::string_view> names;
  for (const auto& pool : config.pools) {
    if (std::ranges::find(model.classes, pool.name, &ContextClass::pool) == model.classes.end()) continue;
    for (const auto& endpoint : pool.endpoints)
      if (hides_defaults(endpoint.engine)) names.push_back(endpoint.name);
  }
  if (names.empty()) return "";
  return fmt::format(
      "model {}: answers of {} to requests that state no temperature are NOT AUDITED, for these servers do "
      "not "
      "tell what they use then; state it as the model's defaults: {{temperature, top_p, top_k, min_p}}.",
      model.name, fmt::join(names, ", "));
}

}  // namespace

const ModelConfig* Config::find_model(std::string_view name) const {
  const auto found = std::ranges::find(models, name, &ModelConfig::name);
  return found == models.end() ? nullptr : &*found;
}

const char* to_string(TokenizerKind kind) {
  switch (kind) {
    case TokenizerKind::gguf:
      return "gguf";
    case TokenizerKind::endpoint:
      return "endpoint";
    case TokenizerKind::bound:
      return "bound";
  }
  return "";
}

std::string to_string(const Address& address) { return host_port(address.host, address.port); }

std::string format_problem(std::string_view file, const ConfigProblem& problem) {
  std::string line = fmt::format("{}:{}:{}: ", file, problem.line, problem.column);
  if (!problem.path.empty()) line += problem.path + ": ";
  return line + problem.message + "; " + problem.fix;
}

bool is_loopback(std::string_view host) {
  // 127.0.0.1.example.com is somebody else's.
  const bool numeric = host.find_first_not_of("0123456789.") == std::string_view::npos;
  return host == "localhost" || host == "::1" || (numeric && host.starts_with("127."));
}

std::vector<std::string> advice(const Config& config) {
  std::vector<std::string> sentences;
  if (!is_loopback(config.listen.host) && config.clients.keys_file.empty()) {
    sentences.push_back(fmt::format(
        "listen: {} is reachable from other machines, and clients need no key; name a file of keys "
        "under clients.",
        to_string(config.listen)));
  }
  if (!is_loopback(config.admin.host)) {
    sentences.push_back(
        fmt::format("admin: {} is reachable from other machines, in the clear; keep it on a network of "
                    "operators alone.",
                    to_string(config.admin)));
  }
  if (config.affinity_secret_env.empty()) {
    sentences.push_back(
        "affinity_secret_env is not set: sessions move at a restart, and two gateways do not agree on their "
        "servers.");
  }
  for (const auto& model : config.models) {
    const auto& smallest = model.classes.front();
    if (model.default_max_output >= smallest.max_tokens) {
      sentences.push_back(
          fmt::format("model {}: default_max_output {} fills class {} ({} tokens): a request "
                      "without max_tokens never goes there.",
                      model.name, model.default_max_output, smallest.name, smallest.max_tokens));
    }
  }
  if (config.audit.sample > 0) {
    for (const auto& model : config.models)
      if (auto sentence = silent_defaults(config, model); !sentence.empty())
        sentences.push_back(std::move(sentence));
  }
  return sentences;
}

std::string summary(const Config& config) {
  std::string text =
      fmt::format("listens on {}, admin on {}\n", to_string(config.listen), to_string(config.admin));
  for (const auto& model : config.models) {
    text += fmt::format(
        "model {} (tokens counted by {}; answers of up to {} tokens when a request states no limit)\n",
        model.name, to_string(model.tokenizer), model.default_max_output);
    std::uint32_t below = 0;
    for (const auto& item : model.classes) {
      text += fmt::format("  {} to {} tokens -> pool {} (class {})\n", below + 1, item.max_tokens, item.pool,
                          item.name);
      below = item.max_tokens;
    }
  }
  for (const auto& pool : config.pools) {
    text += fmt::format("pool {}\n", pool.name);
    for (const auto& endpoint : pool.endpoints) text += "  " + endpoint_words(endpoint) + "\n";
  }
  return text;
}

}  // namespace truekeel::fleet
