// SPDX-License-Identifier: Apache-2.0
// The configuration as an immutable value, and its reading from YAML. Thread safety: plain values.
// Invariants of a Config that parse_config() returned: every name that refers resolves, names are unique,
// classes ascend, every pool has an endpoint and a class, every number is in its range.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/engine_kind.h"
#include "base/time.h"
#include "base/url.h"
#include "fleet/health.h"
#include "fleet/load.h"
#include "fleet/retry_budget.h"

namespace truekeel::fleet {

struct Address {
  std::string host;        ///< an IP address without brackets, or localhost
  std::uint16_t port = 0;  ///< 0: the kernel chooses

  bool operator==(const Address&) const = default;
};

enum class TokenizerKind {
  gguf,      ///< the gateway counts with the vocabulary in a GGUF file
  endpoint,  ///< the endpoint's /tokenize counts
  bound,     ///< bytes only; never an exact count
};

struct Limits {
  std::uint64_t body_bytes = 64ull << 20;
  std::uint32_t connections = 20000;
  Duration header = std::chrono::seconds(10);  ///< for a request's head to arrive
  Duration idle = std::chrono::seconds(300);   ///< without a byte in either direction
  Duration drain = std::chrono::seconds(30);   ///< for running answers after SIGTERM

  bool operator==(const Limits&) const = default;
};

inline constexpr std::uint32_t kConcurrentMax = 1'000'000;
inline constexpr double kRequestsPerSMin = 0.001, kRequestsPerSMax = 1'000'000;

/// What one client may do, unless its line among the keys says otherwise.
struct ClientLimits {
  std::uint32_t concurrent = 64;  ///< calls under way
  double requests_per_s = 50;

  bool operator==(const ClientLimits&) const = default;
};

/// TLS on the port for clients; both empty: in the clear.
struct TlsConfig {
  std::string cert_file;  ///< certificate chain, PEM
  std::string key_file;

  bool operator==(const TlsConfig&) const = default;
};

/// Who may call; see client_keys.h.
struct ClientsConfig {
  std::string keys_file;  ///< empty: anybody may
  ClientLimits limits;

  bool operator==(const ClientsConfig&) const = default;
};

/// What the server does when a request is silent.
struct SamplingDefaults {
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<std::int64_t> top_k;  ///< 0: off

  bool operator==(const SamplingDefaults&) const = default;
};

/// Requests of up to `max_tokens` (prompt and output) go to `pool`.
struct ContextClass {
  std::string name;
  std::uint32_t max_tokens = 0;
  std::string pool;
  std::size_t pool_index = 0;  ///< into Config::pools

  bool operator==(const ContextClass&) const = default;
};

struct ModelConfig {
  std::string name;
  TokenizerKind tokenizer = TokenizerKind::bound;
  std::string gguf_path;  ///< as written; only for TokenizerKind::gguf
  std::uint32_t default_max_output = 512;
  SamplingDefaults defaults;
  std::vector<ContextClass> classes;  ///< ascending by max_tokens, at least one

  bool operator==(const ModelConfig&) const = default;
};

struct EndpointConfig {
  std::string name;  ///< unique over all pools
  Url url;
  EngineKind engine = EngineKind::openai;
  std::map<std::string, std::string> labels;
  std::string upstream_model;  ///< empty: the model's own name
  std::string api_key_env;     ///< the variable that holds the key; empty: none
  std::uint32_t weight_milli = 1000;
  Duration timeout = std::chrono::seconds(600);  ///< for a whole answer
  std::string tls_ca = {};                       ///< PEM file of authorities to trust; empty: the system's

  bool operator==(const EndpointConfig&) const = default;
};

struct PoolConfig {
  std::string name;
  std::vector<EndpointConfig> endpoints;
  LoadSettings load = {};

  bool operator==(const PoolConfig&) const = default;
};

/// Where incidents, changes and request records are kept.
struct StoreConfig {
  std::string sqlite_path = "truekeel.db";  ///< empty: in memory, gone with the process
  std::uint32_t keep_days = 90;             ///< closed incidents and changes; request records: a day

  bool operator==(const StoreConfig&) const = default;
};

/// Who is told of incidents.
struct WebhookConfig {
  std::string url;         ///< as written; empty: nobody
  std::string secret_env;  ///< the variable that holds the key of its signatures

  bool operator==(const WebhookConfig&) const = default;
};

/// Which answers are audited, and how deep.
struct AuditConfig {
  double sample = 1;                ///< share of the answers that can be
  std::uint32_t top_logprobs = 20;  ///< alternatives asked for with each token

  bool operator==(const AuditConfig&) const = default;
};

struct EvidenceConfig {
  double false_alarms_per_day = 0.1;  ///< a bound on their expectation, over all signals and slices
  std::string state_file;             ///< what detectors know survives a restart here; empty: it does not

  bool operator==(const EvidenceConfig&) const = default;
};

struct Config {
  Address listen{"127.0.0.1", 8080};
  Address admin{"127.0.0.1", 9090};
  std::string admin_token_env;      ///< the variable with the token of the admin API; empty: loopback only
  std::string affinity_secret_env;  ///< empty: a random secret
  TlsConfig tls;
  ClientsConfig clients;
  Limits limits;
  HealthSettings health;
  RetrySettings retry;
  StoreConfig store;
  WebhookConfig webhook;
  AuditConfig audit;
  EvidenceConfig evidence;
  std::vector<ModelConfig> models;
  std::vector<PoolConfig> pools;  ///< in the order of the file

  [[nodiscard]] const ModelConfig* find_model(std::string_view name) const;

  bool operator==(const Config&) const = default;
};

/// One thing that is wrong, where, and what to do about it. Line and column count from 1.
struct ConfigProblem {
  int line = 1;
  int column = 1;
  std::string path;  ///< as in models[0].classes[1].pool; empty for the file as a whole
  std::string message;
  std::string fix;

  bool operator==(const ConfigProblem&) const = default;
};

/// Reads a configuration. On failure: every problem found, in the order of the file, at least one and at
/// most kMaxProblems. Cost: linear in the text, which may have kMaxConfigBytes.
[[nodiscard]] std::expected<Config, std::vector<ConfigProblem>> parse_config(std::string_view yaml);

inline constexpr std::size_t kMaxConfigBytes = 1 << 20;
inline constexpr std::size_t kMaxProblems = 50;

/// `file:line:column: path: message; fix`
[[nodiscard]] std::string format_problem(std::string_view file, const ConfigProblem& problem);

/// What is allowed but deserves a thought, as sentences; for check-config and the log at start.
[[nodiscard]] std::vector<std::string> advice(const Config& config);

/// What the configuration means, in a few lines for people.
[[nodiscard]] std::string summary(const Config& config);

/// True for addresses that only this machine reaches.
[[nodiscard]] bool is_loopback(std::string_view host);

/// A commented configuration that parse_config() accepts as it is.
[[nodiscard]] std::string_view default_config();

[[nodiscard]] const char* to_string(TokenizerKind kind);
[[nodiscard]] std::string to_string(const Address& address);

}  // namespace truekeel::fleet
