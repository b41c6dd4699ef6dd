// SPDX-License-Identifier: Apache-2.0
#include "gateway/shared.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/log.h"
#include "base/read_file.h"
#include "fleet/config_change.h"
#include "http/url.h"

namespace truekeel::gateway {
namespace {

constexpr Duration kTellEvery = std::chrono::seconds(10);

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

Upstream::Upstream(fleet::EndpointConfig config, std::string key, std::shared_ptr<const http::TlsContext> tls)
    : config_(std::move(config)),
      address_{config_.url.host, config_.url.port, std::move(tls)},
      authority_(http::authority(address_)),
      key_(std::move(key)),
      dialect_(protocol::dialect(config_.engine)) {}

void Upstream::learn_from(const Upstream& before) {
  last_token_ = before.last_token();
  refuses_limit_ = before.refuses_limit();
  note_fingerprint(before.fingerprint());
}

std::string Upstream::fingerprint() const {
  const std::lock_guard lock(mutex_);
  return fingerprint_;
}

void Upstream::note_fingerprint(std::string_view fingerprint) {
  if (fingerprint.empty()) return;
  const std::lock_guard lock(mutex_);
  if (fingerprint_ != fingerprint) fingerprint_ = fingerprint;
}

Shared::Shared(std::shared_ptr<const Snapshot> snapshot, std::string_view affinity_secret, Instant now)
    : settings_(snapshot->config),
      secret_(affinity_secret),
      snapshot_(std::move(snapshot)),
      sentinel_(std::make_unique<sentinel::Sentinel>(settings_, sizes_of(snapshot_->vocabularies))),
      fleet_(settings_, secret_, now) {}

Result<std::unique_ptr<Shared>> Shared::make(std::shared_ptr<const fleet::Config> config,
                                             std::string_view affinity_secret, Instant now) {
  auto vocabularies = load_vocabularies(*config);
  if (!vocabularies) return std::unexpected(vocabularies.error());
  std::unique_ptr<Shared> shared(new Shared(
      std::make_shared<const Snapshot>(Snapshot{config, std::move(*vocabularies)}), affinity_secret, now));
  auto upstreams = shared->make_upstreams(*config, shared->fleet_.roster_for(*config));
  if (!upstreams) return std::unexpected(upstreams.error());
  shared->take(std::move(*upstreams));
  if (const auto& files = config->tls; !files.cert_file.empty()) {
    auto tls = http::TlsContext::for_server(files.cert_file, files.key_file);
    if (!tls) return std::unexpected(tls.error());
    shared->tls_ = std::move(*tls);
  }
  if (!config->clients.keys_file.empty()) {
    auto clients = load_clients(config->clients);
    if (!clients) return std::unexpected(clients.error());
    shared->clients_.emplace(std::move(*clients), now);
  }
  return shared;
}

Result<Shared::Upstreams> Shared::make_upstreams(const fleet::Config& config, const fleet::Roster& roster) {
  Upstreams made;
  for (std::size_t pool = 0; pool < roster.size(); ++pool) {
    for (std::size_t i = 0; i < roster[pool].size(); ++i) {
      const auto& endpoint = config.pools[pool].endpoints[i];
      const char* key = endpoint.api_key_env.empty() ? "" : std::getenv(endpoint.api_key_env.c_str());
      if (key == nullptr) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("endpoint {}: the environment variable {} (api_key_env) is not set",
                                endpoint.name, endpoint.api_key_env));
      }
      std::shared_ptr<const http::TlsContext> tls;
      if (endpoint.url.tls) {
        auto& trusted = trust_[endpoint.tls_ca];
        if (!trusted) {
          auto read = http::TlsContext::for_client(endpoint.tls_ca);
          if (!read) return std::unexpected(read.error());
          trusted = std::move(*read);
        }
        tls = trusted;
      }
      made.emplace(roster[pool][i], std::make_shared<Upstream>(endpoint, key, std::move(tls)));
    }
  }
  return made;
}

void Shared::take(Upstreams upstreams) {
  const std::lock_guard lock(snapshot_mutex_);
  for (auto& [id, upstream] : upstreams) {
    auto& place = upstreams_[id];
    if (place) upstream->learn_from(*place);
    place = std::move(upstream);
  }
}

/// Their last calls ended since the last reload.
void Shared::forget_removed() {
  const std::lock_guard lock(mutex_);
  const std::lock_guard lock_upstreams(snapshot_mutex_);
  std::erase_if(upstreams_, [this](const auto& item) { return !fleet_.has(item.first); });
}

std::shared_ptr<const Snapshot> Shared::snapshot() const {
  const std::lock_guard lock(snapshot_mutex_);
  return snapshot_;
}

std::shared_ptr<Upstream> Shared::upstream(fleet::EndpointId endpoint) const {
  const std::lock_guard lock(snapshot_mutex_);
  const auto found = upstreams_.find(endpoint);
  return found == upstreams_.end() ? nullptr : found->second;
}

Result<std::vector<std::string>> Shared::replace(fleet::Config wanted, Instant now) {
  const auto before = snapshot();
  auto change = fleet::change_to(*before->config, std::move(wanted));
  auto vocabularies = load_vocabularies(*change.config, before->vocabularies);
  if (!vocabularies) return std::unexpected(vocabularies.error());
  const auto after = std::make_shared<const Snapshot>(Snapshot{change.config, std::move(*vocabularies)});
  const auto roster = fleet([&](const fleet::Fleet& fleet) { return fleet.roster_for(*after->config); });
  auto upstreams = make_upstreams(*after->config, roster);
  if (!upstreams) return std::unexpected(upstreams.error());

  // Nothing fails from here on. Whoever is routed to a new endpoint finds it known to all.
  sentinel_->replace(after->config, roster, sizes_of(after->vocabularies));
  take(std::move(*upstreams));
  fleet([&](fleet::Fleet& fleet) {
    fleet.replace(after->config, now);
    const std::lock_guard lock(snapshot_mutex_);
    snapshot_ = after;
  });
  forget_removed();
  if (incidents_) incidents_->set_fleet(*after->config);
  return std::move(change.needs_restart);
}

void Shared::open_incidents(std::unique_ptr<IncidentDesk> desk) {
  incidents_ = std::move(desk);
  for (const auto& name : incidents_->drained_before()) {
    if (!fleet([&](fleet::Fleet& fleet) { return fleet.drain(name); })) continue;
    log_info("endpoint.drained", {{"endpoint", name}, {"because", "an open incident"}});
  }
}

Result<void> Shared::read_files_again(Instant now) {
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
    auto loaded = load_clients(settings_->clients);
    if (!loaded) {
      note(loaded.error());
    } else {
      clients([&](fleet::ClientGate& gate) { gate.replace(std::move(*loaded), now); });
    }
  }
  if (problems.empty()) return {};
  return fail(ErrorCode::invalid_argument, std::move(problems));
}

void Shared::note_exhausted(const Upstream& upstream, std::string_view why, Instant now) {
  Instant until = exhausted_told_until_;
  if (now < until || !exhausted_told_until_.compare_exchange_strong(until, now + kTellEvery)) return;
  log_warning("gateway.exhausted",
              {{"endpoint", upstream.config().name},
               {"error", why},
               {"effect", "calls that need a new connection are answered 503; no server is blamed"},
               {"fix", "more open files (ulimit -Hn, LimitNOFILE of systemd) or memory"}});
}

bool Shared::ready(Instant now) {
  return !draining() && fleet([now](const fleet::Fleet& fleet) { return fleet.ready(now); });
}

}  // namespace truekeel::gateway
