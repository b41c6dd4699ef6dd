// SPDX-License-Identifier: Apache-2.0
// What all threads of one gateway share. Thread safety: every method, from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fleet/affinity.h"
#include "fleet/client_keys.h"
#include "fleet/fleet.h"
#include "gateway/incident_desk.h"
#include "gateway/metrics.h"
#include "http/net.h"
#include "http/tls.h"
#include "protocol/dialect.h"
#include "sentinel/sentinel.h"

namespace truekeel::gateway {

/// What the gateway has learnt of one endpoint, beside its health.
class Upstream {
 public:
  /// `key`: sent as bearer token; empty: whatever the client sent is passed on.
  Upstream(const fleet::EndpointConfig& config, std::string key,
           std::shared_ptr<const http::TlsContext> tls = {});

  [[nodiscard]] const fleet::EndpointConfig& config() const { return config_; }
  [[nodiscard]] const http::Endpoint& address() const { return address_; }
  [[nodiscard]] const std::string& authority() const { return authority_; }
  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] const protocol::Dialect& dialect() const { return dialect_; }

  /// The system_fingerprint that it last stated; empty until then.
  [[nodiscard]] std::string fingerprint() const;
  void note_fingerprint(std::string_view fingerprint);

  /// It generated a token for somebody. A failure takes the proof back.
  void note_token(Instant now) { last_token_.store(now, std::memory_order_relaxed); }
  void note_failure() { last_token_.store(Instant::min(), std::memory_order_relaxed); }
  [[nodiscard]] Instant last_token() const { return last_token_.load(std::memory_order_relaxed); }

  /// It answered 400 because of the limit of output that the gateway had added: not added any more.
  void refuse_limit() { refuses_limit_ = true; }
  [[nodiscard]] bool refuses_limit() const { return refuses_limit_; }

 private:
  const fleet::EndpointConfig& config_;
  const http::Endpoint address_;
  const std::string authority_;
  const std::string key_;
  const protocol::Dialect& dialect_;
  std::atomic<Instant> last_token_{Instant::min()};
  std::atomic<bool> refuses_limit_ = false;
  mutable std::mutex mutex_;
  std::string fingerprint_;
};

class Shared {
 public:
  /// vocabularies: as of Sentinel, whose thread is not started. Reads upstream keys from the environment, and
  /// clients' keys from their file. Error::invalid_argument when a variable is not set or the file is wrong.
  [[nodiscard]] static Result<std::unique_ptr<Shared>> make(std::shared_ptr<const fleet::Config> config,
                                                            std::string_view affinity_secret, Instant now,
                                                            std::vector<std::uint32_t> vocabularies = {});

  /// Runs `use` on the fleet, alone. Keep it short: all threads wait meanwhile.
  template <class Use>
  decltype(auto) fleet(Use&& use) {
    Wakeups woken;  // those whose turn has come are told when the lock is free again
    const std::lock_guard lock(mutex_);
    const TakeWoken take(fleet_, woken);
    return std::forward<Use>(use)(fleet_);
  }

  /// TLS on the port for clients; null: in the clear.
  [[nodiscard]] const std::shared_ptr<http::TlsContext>& tls() const { return tls_; }

  /// Reads certificates and clients' keys again. What cannot be read stays as it was, and is in the error.
  Result<void> reload(Instant now);

  /// Whether clients need keys.
  [[nodiscard]] bool has_clients() const { return clients_.has_value(); }

  /// Runs `use` on the gate of clients, alone. Requires: has_clients().
  template <class Use>
  decltype(auto) clients(Use&& use) {
    const std::lock_guard lock(clients_mutex_);
    return std::forward<Use>(use)(*clients_);
  }

  [[nodiscard]] const fleet::Config& config() const { return *config_; }
  [[nodiscard]] const fleet::AffinitySecret& secret() const { return secret_; }
  [[nodiscard]] Upstream& upstream(fleet::EndpointId endpoint) { return *upstreams_[endpoint]; }
  [[nodiscard]] Metrics& metrics() { return metrics_; }

  /// Before any call is taken. Endpoints that were drained because of an incident are drained again.
  void open_incidents(std::unique_ptr<IncidentDesk> desk);
  /// Null when there are none, as in simulations.
  [[nodiscard]] IncidentDesk* incidents() { return incidents_.get(); }
  [[nodiscard]] sentinel::Sentinel& sentinel() { return *sentinel_; }

  /// Shutting down: readiness fails, nothing new is accepted.
  void start_draining() { draining_ = true; }
  [[nodiscard]] bool draining() const { return draining_; }
  [[nodiscard]] bool ready(Instant now);

 private:
  struct Wakeups {
    std::vector<std::function<void()>> calls = {};
    ~Wakeups() {
      for (const auto& call : calls) call();
    }
  };
  struct TakeWoken {
    TakeWoken(fleet::Fleet& fleet, Wakeups& woken) : fleet_(fleet), woken_(woken) {}
    ~TakeWoken() { woken_.calls = fleet_.take_woken(); }
    fleet::Fleet& fleet_;
    Wakeups& woken_;
  };

  Shared(std::shared_ptr<const fleet::Config> config, std::string_view affinity_secret, Instant now,
         std::vector<std::uint32_t> vocabularies);

  const std::shared_ptr<const fleet::Config> config_;
  const fleet::AffinitySecret secret_;
  Metrics metrics_;
  std::atomic<bool> draining_ = false;
  std::vector<std::unique_ptr<Upstream>> upstreams_;  // by EndpointId
  std::unique_ptr<IncidentDesk> incidents_;
  const std::unique_ptr<sentinel::Sentinel> sentinel_;
  std::mutex mutex_;
  fleet::Fleet fleet_;  // guarded by mutex_
  std::shared_ptr<http::TlsContext> tls_;
  std::map<std::string, std::shared_ptr<http::TlsContext>> trust_;  // of upstreams, by file of authorities
  std::mutex clients_mutex_;
  std::optional<fleet::ClientGate> clients_;  // what is in it is guarded by clients_mutex_
};

}  // namespace truekeel::gateway
