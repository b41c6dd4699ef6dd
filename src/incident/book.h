// SPDX-License-Identifier: Apache-2.0
// All incidents and what happens to them: findings of one cause become one incident, and facts move it from
// status to status. Thread safety: none of its own. Time is an argument.
//
// A finding joins, in this order: the open incident that has its id already; one with the same traffic, or
// whose traffic covers it or is covered; and, unless both are convictions, one whose traffic it overlaps.
// All but the first must be near in time, or meet a culprit that is convicted of the same traffic. Two
// convictions that merely overlap are two causes, and name each other as related: attribution has peeled the
// first one's items off before it names the second. A conviction that covers several incidents joins them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "incident/incident.h"

namespace truekeel::incident {

struct BookSettings {
  Duration near =
      std::chrono::minutes(15);      ///< between findings of one cause; slices alarm at their own pace
  std::size_t incidents_max = 1000;  ///< kept in memory; the oldest closed ones leave first
};

/// An endpoint as the router sees it now.
struct Routing {
  std::string_view endpoint;
  bool drained = false;
  std::uint32_t in_flight = 0;
  std::uint64_t routed_since_drain = 0;
};

class Book {
 public:
  explicit Book(std::vector<EndpointFacts> fleet, BookSettings settings = {})
      : fleet_(std::move(fleet)), settings_(settings) {}

  /// Each returns the numbers of the incidents that changed, ascending.
  using Changed = std::vector<std::uint64_t>;

  [[nodiscard]] Changed on_finding(const Finding& finding, WallTime now);
  /// Carriers that are not in `routing` stay as they were.
  [[nodiscard]] Changed on_routing(std::span<const Routing> routing, WallTime now);
  /// The culprit's traffic is proven well.
  [[nodiscard]] Changed on_verified(std::uint64_t number, WallTime now);
  /// A person closes it. Empty when it is closed already, or unknown.
  [[nodiscard]] Changed on_resolved(std::uint64_t number, std::string why, WallTime now);
  /// Ranks the changes of all open incidents afresh.
  [[nodiscard]] Changed on_changes(std::span<const Change> changes);
  /// Measures all open incidents afresh.
  [[nodiscard]] Changed on_impact(const ImpactLedger& ledger, WallTime now);

  /// Takes back what an earlier run wrote.
  void restore(Incident incident);
  void set_fleet(std::vector<EndpointFacts> fleet) { fleet_ = std::move(fleet); }

  [[nodiscard]] const Incident* find(std::uint64_t number) const;
  [[nodiscard]] const std::map<std::uint64_t, Incident>& incidents() const { return incidents_; }
  [[nodiscard]] const std::vector<EndpointFacts>& fleet() const { return fleet_; }

 private:
  enum class Tie : std::uint8_t { none, overlap, cover, same, id };
  [[nodiscard]] Tie tie(const Incident& incident, const Finding& finding) const;
  [[nodiscard]] Incident* home_of(const Finding& finding);
  Incident& begin(const Finding& finding);
  void use_traffic(Incident& incident, const Finding& finding);
  void take_back(const Finding& finding, const Incident& home, Changed& changed);
  void add(Incident& incident, const Finding& finding);
  void convict(Incident& incident, const Finding& finding);
  void join_covered(Incident& incident, Changed& changed);
  void relate(Incident& incident, Changed& changed);
  void settle(Incident& incident, std::string because);
  void bound();
  template <class Update>
  Changed update_open(Update update);

  std::vector<EndpointFacts> fleet_;
  BookSettings settings_;
  std::map<std::uint64_t, Incident> incidents_;
  std::map<std::string, Carrier, std::less<>> carriers_;  // as last seen
  WallTime now_{};                                        // never goes back, whatever the caller's clock does
  std::uint64_t last_number_ = 0;
};

}  // namespace truekeel::incident
