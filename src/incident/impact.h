// SPDX-License-Identifier: Apache-2.0
// What share of requests and sessions an incident touched: counts and sketches per endpoint, class
// and five minutes.
// Thread safety: none of its own. Invariant: bounded memory, and no id of a session is kept.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include "base/time.h"
#include "incident/distinct.h"
#include "incident/traffic.h"

namespace truekeel::incident {

struct Impact {
  WallTime since{};  ///< where the count begins: with the slot of the onset, or later if that is forgotten
  std::uint64_t requests = 0;      ///< to the traffic in question
  std::uint64_t requests_all = 0;  ///< to the whole fleet in that time
  double sessions = 0;             ///< estimated, with a standard error of 3.3 %
  double sessions_all = 0;
  std::optional<WallTime> worst_hour = {};  ///< its beginning: the hour with the largest share of requests
  double worst_share = 0;
  /// False when the traffic is told apart by something that is not counted (prompt length, batch size): then
  /// the numbers are upper bounds.
  bool exact = true;

  bool operator==(const Impact&) const = default;
};

class ImpactLedger {
 public:
  static constexpr std::chrono::minutes kSlot{5};

  /// `key` makes the sketches useless to whoever knows the sessions' hashes.
  explicit ImpactLedger(std::uint64_t key, std::size_t cells_max = 1 << 16)
      : key_(key), cells_max_(cells_max) {}

  /// A request was routed. `session`: a keyed hash of what identifies it.
  void count(std::string_view endpoint, std::string_view context_class, std::uint64_t session, WallTime at);

  /// Adds what another one has counted. Requires: the same key.
  void add(const ImpactLedger& other);

  [[nodiscard]] Impact measure(const Traffic& traffic, std::span<const EndpointFacts> fleet, WallTime from,
                               WallTime to) const;

  /// Forgets what ended before.
  void forget_before(WallTime at);

  [[nodiscard]] std::size_t cells() const { return cells_.size(); }

 private:
  using Slot = std::int64_t;                               // of kSlot since the epoch
  using Key = std::tuple<Slot, std::string, std::string>;  // slot, endpoint, class
  struct Cell {
    std::uint64_t requests = 0;
    Distinct sessions;
  };
  [[nodiscard]] static bool holds(const Traffic& traffic, const std::set<std::string>& endpoints,
                                  const Key& key);

  std::uint64_t key_;
  std::size_t cells_max_;  // 1,024 bytes each
  std::map<Key, Cell> cells_;
};

}  // namespace truekeel::incident
