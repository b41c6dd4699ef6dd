// SPDX-License-Identifier: Apache-2.0
// The core of the sentinel: takes what the tap has seen, in order, and turns it into evidence, window by
// window. No thread, no clock. Thread safety: serves one thread.
//
// Invariants (docs/evidence.md, "Ticks"): streams enter at every flush with what has come so far; whole
// answers, and what answers say of themselves, in the order of admission; a token that was looked at and left
// no usable record enters at its lower bound.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "evidence/budget.h"
#include "evidence/tick.h"
#include "fleet/config.h"
#include "incident/finding.h"
#include "sentinel/invariants.h"
#include "sentinel/signal.h"
#include "sentinel/tap.h"
#include "sentinel/token_evidence.h"

namespace truekeel::sentinel {

struct AuditorSettings {
  double false_alarms_per_day = 0.1;
  std::size_t audit_nodes_max = 1u << 18;
  std::size_t invariant_nodes_max = 1u << 16;
  /// Whole answers that take longer enter at the lower bound of the longest answer they may have.
  Duration patience = std::chrono::seconds(60);
};

/// Tokens that were looked at and left no usable record, by what became of it.
enum class Lost : std::uint8_t {
  missing,     ///< the server made none
  unreadable,  ///< it is of no known shape
  dropped,     ///< no room in the tap
  late,        ///< of whole answers that came after the patience, or never; an upper bound
};
inline constexpr std::size_t kLost = 4;
[[nodiscard]] std::string_view name(Lost lost);

/// What is counted of one endpoint. Tokens and verdicts count where they enter as evidence.
struct EndpointAudit {
  std::uint64_t answers = 0;  ///< that were admitted
  std::uint64_t tokens = 0;   ///< with a usable record
  std::array<std::uint64_t, kLost> lost = {};
  std::uint64_t verdicts = 0;       ///< answers that were judged by the invariants
  std::uint64_t verdicts_late = 0;  ///< answers that took longer than the patience: not judged
  double tokens_per_minute = 0, answers_per_minute = 0, verdicts_per_minute = 0;  ///< running means
  WallTime answers_at{}, tokens_at{};  ///< when there were some last; the epoch: never
  GrowthMeter speed;
};

/// Requests under way, by endpoint, of all that may still have some.
using UnderWay = std::vector<std::pair<fleet::EndpointId, std::uint32_t>>;

class Auditor {
 public:
  Auditor(const std::shared_ptr<const fleet::Config>& config, const AuditorSettings& settings, Instant now,
          WallTime wall);

  /// Goes over to another configuration: endpoints that stay keep their evidence.
  void replace(const std::shared_ptr<const fleet::Config>& config, const fleet::Roster& roster);

  /// Requires: the endpoint of an answer that is admitted is of the present configuration, or stands in the
  /// fleet as last told.
  void on(Message&& message);

  /// The fleet as it stands now: requests under way at each endpoint, looked at or not, which are the batch
  /// of the tokens to come. Removed endpoints that it lists no more are forgotten, each at the first flush
  /// after its last answer has entered.
  void note_under_way(const UnderWay& fleet);

  [[nodiscard]] bool flush_due(Instant now) const;
  /// Ends the window. An alarm that starts the search for a culprit is a finding, and so is the culprit, by
  /// the same id; alarms in between are counted alone. A culprit that goes on is convicted anew once a
  /// minute.
  [[nodiscard]] std::vector<incident::Finding> flush(Instant now, WallTime wall);

  /// Whether the slice that leads a search may hold answers of the endpoint, or its tokens pass the ceiling
  /// of what is tolerated: all of them are then looked at.
  [[nodiscard]] bool suspected(fleet::EndpointId endpoint) const;

  /// The endpoint is well again: culprits that may hold its traffic, however they are called, may be named
  /// anew, and what is tolerated of its tokens is calibrated afresh.
  void heal(fleet::EndpointId endpoint);
  /// Approves the fingerprint that it stated last, and with it the endpoint; false when it has stated none.
  bool approve(fleet::EndpointId endpoint);

  /// State without content, to survive a restart.
  [[nodiscard]] std::string save() const;
  /// How many detectors go on. Requires: nothing was taken yet. Error::invalid_argument when it is damaged:
  /// no change; or when a signal's detectors do not fit: all of them start afresh, and what was approved and
  /// counted of invariants is taken over.
  [[nodiscard]] Result<std::size_t> restore(std::string_view bytes);

  // For views.
  [[nodiscard]] const Signal& audit() const { return audit_; }
  [[nodiscard]] const Signal& invariants() const { return invariants_; }
  [[nodiscard]] const InvariantBook& book() const { return book_; }
  [[nodiscard]] const evidence::FalseAlarmBudget& budget() const { return budget_; }
  /// Whether there is still such an endpoint, removed or not. Required here and wherever one is named.
  [[nodiscard]] bool has(fleet::EndpointId id) const { return endpoints_.contains(id); }
  [[nodiscard]] const EndpointAudit& endpoint(fleet::EndpointId id) const { return at(id).audit; }
  /// What is tolerated of its tokens, by those that entered; null for an engine that is not audited.
  [[nodiscard]] const evidence::LiveTolerance* rho(fleet::EndpointId id) const {
    const auto& rho = at(id).rho;
    return rho ? &*rho : nullptr;
  }
  /// Whether that was within the last minutes.
  [[nodiscard]] bool lately(WallTime at) const;
  /// When the earliest answer was admitted that entered in this window: an onset in it is no earlier
  /// estimated than that, and no later than its evidence.
  [[nodiscard]] WallTime onset_of(const Signal& signal, evidence::Tick tick) const;
  [[nodiscard]] std::uint64_t alarms() const { return alarms_; }
  [[nodiscard]] std::uint64_t culprits() const { return culprits_; }

 private:
  static constexpr std::size_t kAudit = 0, kInvariant = 1;
  using Places = std::array<evidence::Coordinates, 2>;

  struct Endpoint {
    std::shared_ptr<const fleet::Config> held;  // what config and pool point into
    const fleet::EndpointConfig* config = nullptr;
    const fleet::PoolConfig* pool = nullptr;
    const protocol::Dialect* dialect = nullptr;
    std::optional<evidence::ShippedDialect> shipped;
    std::optional<evidence::LiveTolerance> rho;  // where there is something shipped
    Places fixed;                                // what is the same for all its answers
    EndpointAudit audit;
    bool removed = false;
    bool listed = true;                                                        // by the fleet, as last told
    std::uint32_t under_way = 1;                                               // requests, as last told
    std::uint64_t tokens_before = 0, answers_before = 0, verdicts_before = 0;  // at the last flush
  };

  /// Evidence of the tokens of one answer, and what is counted of them when it enters.
  struct Tokens {
    std::vector<float> sums;
    std::uint32_t count = 0;
    std::uint64_t usable = 0, telling = 0, excluded = 0;
    std::array<std::uint64_t, kLost> lost = {};
    GrowthMeter speed;
  };
  struct Answer {
    Admission about;
    Places where;
    std::optional<evidence::AdmissionOrder<Tokens>::Ticket> whole;  // not for streams
    evidence::AdmissionOrder<Verdicts>::Ticket verdict = 0;
    Tokens pending;
    bool begun = false;  // some of it has been entered
    RecordsSaid said;
    std::uint64_t entered_lost = 0;  // tokens without a record so far
    std::optional<std::uint64_t> seed;
  };
  /// What an answer leaves behind until its turn has come.
  struct Queued {
    AnswerId answer = 0;
    Instant admitted{};
    Places where;
    fleet::EndpointId endpoint = 0;
    std::uint64_t output_most = 0, client = 0, session = 0;
  };

  /// A window, and when what entered in it had been admitted or, of streams, drawn.
  struct Window {
    evidence::Tick tick = 0;
    WallTime ended{};
    std::array<WallTime, 2> earliest = {};  // by signal
  };
  using Waits = std::array<Duration, 2>;

  [[nodiscard]] Endpoint& at(fleet::EndpointId id);
  [[nodiscard]] const Endpoint& at(fleet::EndpointId id) const;
  void forget_removed();
  void on_admitted(const Admitted& admitted);
  void on_records(const Records& records);
  void on_ended(const Ended& ended);
  void settle(Answer& answer, const Ended& ended);
  void lose(Answer& answer, std::uint64_t tokens, Lost why);
  void put(Places& places, evidence::Attribute attribute, std::string_view text);
  void place_endpoint(fleet::EndpointId id, const std::shared_ptr<const fleet::Config>& held,
                      const fleet::PoolConfig& pool, const fleet::EndpointConfig& config);
  void intern_endpoints();
  [[nodiscard]] Places places_of(const Admission& about);
  void put_batch(Places& places, fleet::EndpointId endpoint);
  [[nodiscard]] Places places_of(fleet::EndpointId endpoint, std::string_view fingerprint) const;
  void enter(Answer& answer);
  void count(fleet::EndpointId endpoint, Tokens& tokens);
  void enter_streams();
  [[nodiscard]] Waits release(Instant now);
  void note_window(evidence::Tick tick, WallTime wall, const Waits& waits);
  [[nodiscard]] const Window* window_of(evidence::Tick tick) const;
  void report(std::size_t which, const SignalEvents& events, std::vector<incident::Finding>& findings);
  [[nodiscard]] incident::Finding describe(const Signal& signal, const evidence::Slice& slice,
                                           std::size_t cell, evidence::Tick onset) const;
  [[nodiscard]] std::string new_id(const Signal& signal);
  void measure_traffic(Duration window);

  const AuditorSettings settings_;
  TokenEvidence evidence_;
  evidence::RatioBets invariant_bets_;
  Signal audit_, invariants_;
  InvariantBook book_;
  evidence::FalseAlarmBudget budget_;
  evidence::FlushClock clock_;
  std::map<fleet::EndpointId, Endpoint> endpoints_;
  std::unordered_map<AnswerId, Answer> answers_;
  evidence::AdmissionOrder<Tokens> whole_order_;
  evidence::AdmissionOrder<Verdicts> verdict_order_;
  std::deque<Queued> whole_queue_, verdict_queue_;  // beside the orders
  std::deque<Window> windows_;
  Instant flushed_;
  WallTime wall_;
  std::array<std::optional<incident::Finding>, 2> searching_;  // the alarm that the search goes back to
  std::unordered_map<std::string, WallTime> told_;             // culprits that alarm again, when last told
  std::uint64_t findings_ = 0;
  std::uint64_t waiting_ = 0;  // tokens since the last flush
  std::uint64_t alarms_ = 0, culprits_ = 0;
};

}  // namespace truekeel::sentinel
