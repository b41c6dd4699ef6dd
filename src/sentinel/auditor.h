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

/// What is counted of one endpoint.
struct EndpointAudit {
  std::uint64_t answers = 0, tokens = 0;
  std::array<std::uint64_t, kLost> lost = {};
  double tokens_per_minute = 0, answers_per_minute = 0;  ///< of the last minutes
  GrowthMeter speed;
  std::uint32_t under_way = 0;  ///< answers that are looked at now
};

class Auditor {
 public:
  Auditor(std::shared_ptr<const fleet::Config> config, const AuditorSettings& settings, Instant now,
          WallTime wall);

  void on(Message&& message);

  [[nodiscard]] bool flush_due(Instant now) const;
  /// Ends the window. An alarm that starts the search for a culprit is a finding, and so is the culprit, by
  /// the same id; alarms in between are counted alone. A culprit that goes on is convicted anew once a
  /// minute.
  [[nodiscard]] std::vector<incident::Finding> flush(Instant now, WallTime wall);

  /// The share of answers to look at, by endpoint: all of them where a suspect is being searched for.
  [[nodiscard]] bool suspected(fleet::EndpointId endpoint) const;

  /// The endpoint is well again: culprits named by it may be named anew.
  void heal(std::string_view endpoint);
  bool approve(fleet::EndpointId endpoint) { return book_.approve(endpoint); }

  /// State without content, to survive a restart.
  [[nodiscard]] std::string save() const;
  /// Requires: nothing was taken yet. Error::invalid_argument, and no change, when it is damaged.
  [[nodiscard]] Result<std::size_t> restore(std::string_view bytes);

  // For views.
  [[nodiscard]] const Signal& audit() const { return audit_; }
  [[nodiscard]] const Signal& invariants() const { return invariants_; }
  [[nodiscard]] const InvariantBook& book() const { return book_; }
  [[nodiscard]] const evidence::FalseAlarmBudget& budget() const { return budget_; }
  [[nodiscard]] const EndpointAudit& endpoint(fleet::EndpointId id) const { return endpoints_[id].audit; }
  [[nodiscard]] WallTime time_of(evidence::Tick tick) const;
  [[nodiscard]] std::uint64_t alarms() const { return alarms_; }
  [[nodiscard]] std::uint64_t culprits() const { return culprits_; }

 private:
  struct Endpoint {
    const fleet::EndpointConfig* config;
    const fleet::PoolConfig* pool;
    const protocol::Dialect* dialect;
    std::optional<evidence::ShippedDialect> shipped;
    EndpointAudit audit;
    std::string batch;  // how many answers were under way at the last flush, as a bin
    std::uint64_t tokens_before = 0, answers_before = 0;  // at the last flush
  };
  static constexpr std::size_t kAudit = 0, kInvariant = 1;
  using Places = std::array<evidence::Coordinates, 2>;

  /// Evidence of the tokens of one answer.
  struct Tokens {
    std::vector<float> sums;
    std::uint32_t count = 0;
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
    Places where;
    fleet::EndpointId endpoint = 0;
    std::uint64_t output_most = 0, client = 0, session = 0;
  };

  void on_admitted(const Admitted& admitted);
  void on_records(const Records& records);
  void on_ended(const Ended& ended);
  void settle(Answer& answer, const Ended& ended);
  void lose(Answer& answer, std::uint64_t tokens, Lost why);
  [[nodiscard]] Places places_of(const Admission& about);
  void enter(Answer& answer);
  void enter_streams();
  void release(Instant now);
  void report(std::size_t which, const SignalEvents& events, std::vector<incident::Finding>& findings);
  [[nodiscard]] incident::Finding describe(const Signal& signal, const evidence::Slice& slice,
                                           std::size_t cell, evidence::Tick onset) const;
  [[nodiscard]] std::string new_id(const Signal& signal);
  void measure_traffic(Duration window);

  const std::shared_ptr<const fleet::Config> config_;
  const AuditorSettings settings_;
  TokenEvidence evidence_;
  evidence::RatioBets invariant_bets_;
  Signal audit_, invariants_;
  InvariantBook book_;
  evidence::FalseAlarmBudget budget_;
  evidence::FlushClock clock_;
  std::vector<Endpoint> endpoints_;
  std::unordered_map<AnswerId, Answer> answers_;
  evidence::AdmissionOrder<Tokens> whole_order_;
  evidence::AdmissionOrder<Verdicts> verdict_order_;
  std::deque<Queued> whole_queue_, verdict_queue_;  // beside the orders
  std::deque<std::pair<evidence::Tick, WallTime>> times_;
  Instant flushed_;
  WallTime wall_;
  std::array<std::optional<incident::Finding>, 2> searching_;  // the alarm that the search goes back to
  std::unordered_map<std::string, WallTime> told_;             // culprits that alarm again, when last told
  std::uint64_t findings_ = 0;
  std::uint64_t waiting_ = 0;  // tokens since the last flush
  std::uint64_t alarms_ = 0, culprits_ = 0;
};

}  // namespace truekeel::sentinel
