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

#include "base/assert.h"
#include "fleet/affinity.h"
#include "fleet/client_keys.h"
#include "fleet/fleet.h"
#include "gateway/incident_desk.h"
#include "gateway/metrics.h"
#include "gateway/vocabularies.h"
#include "http/net.h"
#include "http/tls.h"
#include "protocol/dialect.h"
#include "sentinel/sentinel.h"

namespace truekeel::gateway {

/// What the gateway has learnt of one endpoint, beside its health.
class Upstream {
 public:
  /// `key`: sent as bearer token; empty: whatever the client sent is passed on.
  Upstream(fleet::EndpointConfig config, std::string key, std::shared_ptr<const http::TlsContext> tls = {});

  /// Takes over what is known of the same server under other settings.
  void learn_from(const Upstream& before);

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
  const fleet::EndpointConfig config_;
  const http::Endpoint address_;
  const std::string authority_;
  const std::string key_;
  const protocol::Dialect& dialect_;
  std::atomic<Instant> last_token_{Instant::min()};
  std::atomic<bool> refuses_limit_ = false;
  mutable std::mutex mutex_;
  std::string fingerprint_;
};

/// What a reload changes as a whole.
struct Snapshot {
  std::shared_ptr<const fleet::Config> config;
  Vocabularies vocabularies;

  /// Requires: the model is of the configuration.
  [[nodiscard]] const Vocabulary& vocabulary_of(const fleet::ModelConfig& model) const {
    return vocabularies[static_cast<std::size_t>(&model - config->models.data())];
  }
};

class Shared {
 public:
  /// The sentinel's thread is not started. Reads vocabularies, upstream keys from the environment, and
  /// clients' keys from their file. Error::invalid_argument when a variable is not set or a file is wrong.
  [[nodiscard]] static Result<std::unique_ptr<Shared>> make(std::shared_ptr<const fleet::Config> config,
                                                            std::string_view affinity_secret, Instant now);

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
  /// From one thread alone, here and below.
  Result<void> read_files_again(Instant now);

  /// Goes over to the wanted models and pools, and names what else differs and needs a restart. On an error
  /// all stays as it was.
  [[nodiscard]] Result<std::vector<std::string>> replace(fleet::Config wanted, Instant now);

  /// Whether clients need keys.
  [[nodiscard]] bool has_clients() const { return clients_.has_value(); }

  /// Runs `use` on the gate of clients, alone. Requires: has_clients().
  template <class Use>
  decltype(auto) clients(Use&& use) {
    TK_ASSERT(clients_);
    const std::lock_guard lock(clients_mutex_);
    return std::forward<Use>(use)(*clients_);
  }

  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;
  /// As it was at the start: for what no reload changes.
  [[nodiscard]] const fleet::Config& settings() const { return *settings_; }
  [[nodiscard]] const fleet::AffinitySecret& secret() const { return secret_; }
  /// Null when it was removed and no call is under way there.
  [[nodiscard]] std::shared_ptr<Upstream> upstream(fleet::EndpointId endpoint) const;
  [[nodiscard]] Metrics& metrics() { return metrics_; }

  /// Before any call is taken. Endpoints that were drained because of an incident are drained again.
  void open_incidents(std::unique_ptr<IncidentDesk> desk);
  /// Null when there are none, as in simulations.
  [[nodiscard]] IncidentDesk* incidents() { return incidents_.get(); }
  [[nodiscard]] sentinel::Sentinel& sentinel() { return *sentinel_; }

  /// There was nothing left to connect there with; told in the log now and then.
  void note_exhausted(const Upstream& upstream, std::string_view why, Instant now);

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

  using Upstreams = std::map<fleet::EndpointId, std::shared_ptr<Upstream>>;

  Shared(std::shared_ptr<const Snapshot> snapshot, std::string_view affinity_secret, Instant now);
  [[nodiscard]] Result<Upstreams> make_upstreams(const fleet::Config& config, const fleet::Roster& roster);
  void take(Upstreams upstreams);
  void forget_removed();

  const std::shared_ptr<const fleet::Config> settings_;
  const fleet::AffinitySecret secret_;
  Metrics metrics_;
  std::atomic<bool> draining_ = false;
  std::atomic<Instant> exhausted_told_until_{Instant::min()};
  mutable std::mutex snapshot_mutex_;
  std::shared_ptr<const Snapshot> snapshot_;  // guarded by snapshot_mutex_
  Upstreams upstreams_;                       // guarded by snapshot_mutex_
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
