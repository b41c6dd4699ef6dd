// SPDX-License-Identifier: Apache-2.0
#include "gateway/shared.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/log.h"
#include "base/read_file.h"
#include "http/url.h"

namespace truekeel::gateway {
namespace {

Result<std::vector<fleet::Client>> load_clients(const fleet::ClientsConfig& config) {
  const auto text = read_file(config.keys_file, fleet::kMaxConfigBytes);
  if (!text) return std::unexpected(text.error());
  auto clients = fleet::parse_client_keys(*text, config.limits);
  if (clients) return std::move(*clients);
  std::string problems;
  for (const auto& problem : clients.error()) {
    problems += (problems.empty() ? "" : "\n") + fleet::format_problem(config.keys_file, problem);
  }
  return fail(ErrorCode::invalid_argument, std::move(problems));
}

}  // namespace

Upstream::Upstream(const fleet::EndpointConfig& config, std::string key,
                   std::shared_ptr<const http::TlsContext> tls)
    : config_(config),
      address_{config.url.host, config.url.port, std::move(tls)},
      authority_(http::authority(address_)),
      key_(std::move(key)),
      dialect_(protocol::dialect(config.engine)) {}

std::string Upstream::fingerprint() const {
  const std::lock_guard lock(mutex_);
  return fingerprint_;
}

void Upstream::note_fingerprint(std::string_view fingerprint) {
  if (fingerprint.empty()) return;
  const std::lock_guard lock(mutex_);
  if (fingerprint_ != fingerprint) fingerprint_ = fingerprint;
}

Shared::Shared(std::shared_ptr<const fleet::Config> config, std::string_view affinity_secret, Instant now,
               std::vector<std::uint32_t> vocabularies)
    : config_(std::move(config)),
      secret_(affinity_secret),
      sentinel_(std::make_unique<sentinel::Sentinel>(config_, std::move(vocabularies))),
      fleet_(config_, secret_, now) {}

Result<std::unique_ptr<Shared>> Shared::make(std::shared_ptr<const fleet::Config> config,
                                             std::string_view affinity_secret, Instant now,
                                             std::vector<std::uint32_t> vocabularies) {
  std::unique_ptr<Shared> shared(
      new Shared(std::move(config), affinity_secret, now, std::move(vocabularies)));
  for (fleet::EndpointId id = 0; id < shared->fleet_.size(); ++id) {
    const auto& endpoint = shared->fleet_.endpoint(id);
    const char* key = endpoint.api_key_env.empty() ? "" : std::getenv(endpoint.api_key_env.c_str());
    if (key == nullptr) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("endpoint {}: the environment variable {} (api_key_env) is not set",
                              endpoint.name, endpoint.api_key_env));
    }
    std::shared_ptr<const http::TlsContext> tls;
    if (endpoint.url.tls) {
      auto& trusted = shared->trust_[endpoint.tls_ca];
      if (!trusted) {
        auto made = http::TlsContext::for_client(endpoint.tls_ca);
        if (!made) return std::unexpected(made.error());
        trusted = std::move(*made);
      }
      tls = trusted;
    }
    shared->upstreams_.push_back(std::make_unique<Upstream>(endpoint, key, std::move(tls)));
  }
  if (const auto& files = shared->config_->tls; !files.cert_file.empty()) {
    auto tls = http::TlsContext::for_server(files.cert_file, files.key_file);
    if (!tls) return std::unexpected(tls.error());
    shared->tls_ = std::move(*tls);
  }
  if (!shared->config_->clients.keys_file.empty()) {
    auto clients = load_clients(shared->config_->clients);
    if (!clients) return std::unexpected(clients.error());
    shared->clients_.emplace(std::move(*clients), now);
  }
  return shared;
}

void Shared::open_incidents(std::unique_ptr<IncidentDesk> desk) {
  incidents_ = std::move(desk);
  for (const auto& name : incidents_->drained_before()) {
    if (!fleet([&](fleet::Fleet& fleet) { return fleet.drain(name); })) continue;
    log_info("endpoint.drained", {{"endpoint", name}, {"because", "an open incident"}});
  }
}

Result<void> Shared::reload(Instant now) {
  std::string problems;
  const auto note = [&problems](const Error& error) {
    problems += (problems.empty() ? "" : "\n") + error.message;
  };
  const auto again = [&note](http::TlsContext& tls) {
    if (const auto done = tls.reload(); !done) note(done.error());
  };
  if (tls_) again(*tls_);
  for (const auto& [file, tls] : trust_) again(*tls);
  if (has_clients()) {
    auto loaded = load_clients(config_->clients);
    if (!loaded) {
      note(loaded.error());
    } else {
      clients([&](fleet::ClientGate& gate) { gate.replace(std::move(*loaded), now); });
    }
  }
  if (problems.empty()) return {};
  return fail(ErrorCode::invalid_argument, std::move(problems));
}

bool Shared::ready(Instant now) {
  return !draining() && fleet([now](const fleet::Fleet& fleet) { return fleet.ready(now); });
}

}  // namespace truekeel::gateway
