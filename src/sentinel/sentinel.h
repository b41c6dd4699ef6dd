// SPDX-License-Identifier: Apache-2.0
// The audit as a part of the gateway: admits answers, and has the thread that audits them.
// Thread safety: every method, from any thread, but start and stop from the one that owns it.
// Invariant: admit() and what taps do never wait for the audit.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fleet/config.h"
#include "incident/finding.h"
#include "sentinel/auditor.h"
#include "sentinel/plan.h"
#include "sentinel/tap.h"

namespace truekeel::sentinel {

/// An answer that is looked at.
struct Look {
  AuditPlan plan;
  std::unique_ptr<AnswerTap> tap;
};

class Sentinel {
 public:
  /// vocabularies: tokens of each model of the configuration, 0 where unknown, empty when none is known.
  /// Restores the state file where there is one.
  Sentinel(std::shared_ptr<const fleet::Config> config, std::vector<std::uint32_t> vocabularies);
  ~Sentinel();

  /// Takes what the audit has found; called by the sentinel's thread, must not wait.
  using Sink = std::function<void(const incident::Finding&)>;
  /// Tells requests under way at each endpoint of the fleet, looked at or not: removed ones too, until the
  /// last call there has ended. Called by the sentinel's thread.
  using AskFleet = std::function<UnderWay()>;
  void start(Sink sink, AskFleet ask_fleet);
  /// Saves the state, ends the thread.
  void stop();

  /// Goes over to other models and pools: endpoints that stay keep their evidence, new ones are audited from
  /// now on, removed ones are shown no more, and forgotten when nothing comes from them. vocabularies: as at
  /// the construction.
  void replace(const std::shared_ptr<const fleet::Config>& config, const fleet::Roster& roster,
               const std::vector<std::uint32_t>& vocabularies);

  /// What a request must be for its answer to be looked at, decided from what is known before it is sent.
  struct Candidate {
    const protocol::OpenAiRequest& request;
    std::string_view body;
    fleet::EndpointId endpoint;
    const fleet::ModelConfig& model;
    Admission about;  ///< all but the sampling
  };
  /// Whether an answer of the endpoint is of the share to look at; asked once for each. bits: 64 uniform
  /// ones, drawn for this request alone.
  [[nodiscard]] bool draw(fleet::EndpointId endpoint, std::uint64_t bits);
  /// Says why when the answer is not looked at. Requires: it was drawn.
  [[nodiscard]] std::expected<std::unique_ptr<Look>, Skip> admit(Candidate candidate, Instant now);

  /// The server answered 400 to what the audit had added: it is not asked again.
  void refuse(fleet::EndpointId endpoint);

  /// What the server says that it does when a request is silent.
  void note_defaults(fleet::EndpointId endpoint, const Defaults& defaults);

  /// The endpoint has been mended: it may be accused anew.
  void heal(std::string_view endpoint);
  /// Approves the fingerprint that the endpoint states now; false when it has stated none.
  bool approve(std::string_view endpoint);

  /// Views for the admin API, as JSON, and the exposition text for /metrics.
  [[nodiscard]] std::string slices_json();
  [[nodiscard]] std::string signals_json();
  [[nodiscard]] std::string coverage_json();
  [[nodiscard]] std::string metrics_text();

 private:
  struct EndpointState {
    std::string name;
    const protocol::Dialect* dialect = nullptr;
    Defaults defaults;  // guarded by tables_mutex_
    std::atomic<bool> refuses = false;
    std::atomic<bool> suspected = false;
    bool over_ceiling = false;  // of the sentinel's thread
    bool removed = false;       // guarded by mutex_
    std::array<std::atomic<std::uint64_t>, kSkips> skipped = {};
    std::atomic<WallTime> temperature_unknown_at{};  // when a request was last skipped for it
  };

  void run();
  void work(Instant now);
  void note_suspects();
  void hand_over(const std::vector<incident::Finding>& findings);
  void load_state();
  void save_state();
  void place_endpoints(const fleet::Config& config, const fleet::Roster& roster);
  void forget_removed();
  void note_vocabularies(const fleet::Config& config, const std::vector<std::uint32_t>& vocabularies);
  [[nodiscard]] std::shared_ptr<EndpointState> state_of(fleet::EndpointId endpoint);
  [[nodiscard]] std::uint32_t vocabulary_of(const std::string& model);
  [[nodiscard]] Defaults server_defaults(fleet::EndpointId endpoint);
  void count(fleet::EndpointId endpoint, Skip why);
  [[nodiscard]] std::unexpected<Skip> skip(fleet::EndpointId endpoint, Skip why);
  [[nodiscard]] std::optional<fleet::EndpointId> find(std::string_view endpoint) const;
  friend class Views;

  const std::shared_ptr<const fleet::Config> config_;  // of the start: for what no reload changes
  Sink sink_;
  AskFleet ask_fleet_;
  std::vector<Message> messages_;  // of the sentinel's thread
  TapQueue queue_;

  // Read under one of mutex_ and tables_mutex_, changed under both.
  std::map<fleet::EndpointId, std::shared_ptr<EndpointState>> endpoints_;

  std::mutex tables_mutex_;                                         // locked after mutex_
  std::map<std::string, std::uint32_t, std::less<>> vocabularies_;  // guarded by tables_mutex_; by model

  std::mutex mutex_;
  Auditor auditor_;                             // guarded by mutex_
  std::array<std::uint64_t, 2> findings_ = {};  // alarms, convictions; guarded by mutex_
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  Instant saved_{};
  std::thread thread_;
};

}  // namespace truekeel::sentinel
