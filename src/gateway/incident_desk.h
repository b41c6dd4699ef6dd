// SPDX-License-Identifier: Apache-2.0
// Incidents in a running gateway: takes findings, routing counts and changes to the book, what comes of it to
// the store and to those who follow. Thread safety: every method, from any thread.
// Invariant: a request waits for no more than its own count: on_routed() and on_done() have locks of their
// own, under which nothing else is done.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/config.h"
#include "fleet/fleet.h"
#include "gateway/event_ring.h"
#include "incident/book.h"
#include "store/writer.h"

namespace truekeel::gateway {

/// What the configuration says of each endpoint's traffic.
[[nodiscard]] std::vector<incident::EndpointFacts> endpoint_facts(const fleet::Config& config);

/// What the router says of each endpoint, in the order of Fleet::endpoints(). The names live as long as the
/// fleet's configuration.
[[nodiscard]] std::vector<incident::Routing> routing_of(const fleet::Fleet& fleet, Instant now);

class IncidentDesk {
 public:
  /// Opens the store and takes back what it has. Error::unavailable when it cannot be opened, or anything in
  /// it cannot be read: numbers that seem free would overwrite it. `key`: random.
  [[nodiscard]] static Result<std::unique_ptr<IncidentDesk>> open(const fleet::Config& config,
                                                                  std::uint64_t key);

  void on_finding(const incident::Finding& finding, WallTime now);
  void on_routed(std::string_view endpoint, std::string_view context_class, const fleet::AffinityKey& session,
                 WallTime now);
  void on_done(incident::RequestRecord record) { writer_.put(std::move(record)); }
  /// To be told every moment.
  void on_routing(std::span<const incident::Routing> routing, WallTime now);
  /// Another configuration of models and pools; fingerprints of endpoints of the same name stay.
  void set_fleet(const fleet::Config& config);
  void set_fingerprint(std::string_view endpoint, const std::string& fingerprint);
  /// Measures open incidents afresh; every few seconds.
  void measure(WallTime now);

  /// Waits a moment for all that was recorded before to reach the store; false when it has not.
  [[nodiscard]] bool kept() { return writer_.flush(kKeep); }

  /// Gives the change its number. Error::unavailable when there is no room for it now.
  [[nodiscard]] Result<incident::Change> add_change(incident::Change change);
  /// False when there is no such open incident.
  [[nodiscard]] bool resolve(std::uint64_t number, std::string why, WallTime now);

  /// The newest first.
  [[nodiscard]] std::vector<incident::Incident> incidents() const;
  [[nodiscard]] Result<std::optional<incident::Incident>> incident(std::uint64_t number);
  [[nodiscard]] std::vector<incident::Change> changes() const;
  [[nodiscard]] Result<std::optional<incident::RequestRecord>> request(std::string_view id);

  /// Endpoints that were drained because of an incident that is still open: a restart must not release them.
  [[nodiscard]] std::vector<std::string> drained_before() const;

  [[nodiscard]] const EventRing& events() const { return events_; }
  /// Beginnings and changes of status alone, for those who are told of nothing else.
  [[nodiscard]] const EventRing& status_events() const { return status_events_; }
  [[nodiscard]] std::string metrics_text() const;

 private:
  /// What was last told of an incident.
  struct Told {
    incident::Status status;
    std::string brief;
  };
  static constexpr Duration kKeep = std::chrono::seconds(1);

  IncidentDesk(const fleet::Config& config, std::unique_ptr<store::Store> store, std::uint64_t key);
  [[nodiscard]] Result<void> take_back();
  void tell(const incident::Book::Changed& changed);             // requires: mutex_
  void publish(const incident::Incident& item);                  // requires: mutex_
  [[nodiscard]] incident::Book::Changed measured(WallTime now);  // requires: mutex_

  store::Writer writer_;
  EventRing events_, status_events_;

  mutable std::mutex mutex_;
  incident::Book book_;                    // guarded by mutex_
  std::vector<incident::Change> changes_;  // guarded by mutex_; oldest first
  std::uint64_t last_change_ = 0;          // guarded by mutex_
  std::map<std::uint64_t, Told> told_;     // guarded by mutex_

  const std::uint64_t key_;
  incident::ImpactLedger ledger_;  // guarded by mutex_
  std::mutex fresh_mutex_;
  incident::ImpactLedger fresh_;  // what was counted since the last measure; guarded by fresh_mutex_
};

}  // namespace truekeel::gateway
