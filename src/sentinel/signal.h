// SPDX-License-Identifier: Apache-2.0
// One signal: its lattice, the names of its attributes' values, and the search for culprits. Thread safety:
// serves one thread.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "evidence/attribution.h"
#include "evidence/lattice.h"
#include "evidence/ratio_bets.h"
#include "evidence/slice.h"
#include "evidence/snapshot.h"
#include "incident/traffic.h"

namespace truekeel::sentinel {

/// What happened in one window of one signal.
struct SignalEvents {
  std::vector<evidence::Alarm> alarms;
  std::optional<evidence::Culprit> culprit;
};

/// Whether the slice may hold traffic of the endpoint with these values of what an endpoint fixes for all its
/// answers: its name, pool, hardware, version and fingerprint.
[[nodiscard]] bool may_hold(const evidence::Slice& slice, const evidence::Coordinates& endpoint);

class Signal {
 public:
  /// detector(cell): what the bet of a cell is called. `bets` is borrowed for life.
  Signal(std::string name, const evidence::RatioBets& bets, std::size_t nodes_max,
         std::function<std::string(std::size_t)> detector);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const evidence::RatioBets& bets() const { return bets_; }
  [[nodiscard]] std::string detector(std::size_t cell) const { return detector_(cell); }

  [[nodiscard]] evidence::ValueId intern(evidence::Attribute attribute, std::string_view text) {
    return names_.intern(attribute, text);
  }
  void add(const evidence::Coordinates& where, const evidence::Item& item) { lattice_.add(where, item); }

  /// Ends a window; `touched()` says afterwards what it cost.
  [[nodiscard]] SignalEvents flush(evidence::Tick tick, double log_stake);
  [[nodiscard]] std::size_t touched() const { return lattice_.touched(); }

  /// The slice that leads the search for a culprit, while there is one.
  [[nodiscard]] std::optional<evidence::Slice> suspect() const;

  /// The endpoint with these values is well again: the items of all culprits that may hold its traffic count
  /// everywhere. Returns those culprits.
  std::vector<evidence::Slice> heal(const evidence::Coordinates& endpoint);

  /// The slice as people may see it: of what clients shape, with a substitute for the value while few of them
  /// have traffic there.
  [[nodiscard]] incident::Traffic shown(const evidence::Slice& slice) const;

  [[nodiscard]] const evidence::Lattice& lattice() const { return lattice_; }
  [[nodiscard]] const evidence::ValueNames& names() const { return names_; }

  [[nodiscard]] std::string save(evidence::Tick tick, double log_stake) const;
  /// A state that was saved, aside.
  struct Saved {
    evidence::Restored about;
    evidence::ValueNames names;
    evidence::Lattice lattice;
  };
  [[nodiscard]] Result<Saved> read(std::string_view bytes) const;
  /// Requires: nothing was added yet. Values are to be interned anew.
  void go_on_from(Saved saved);

 private:
  const std::string name_;
  const evidence::RatioBets& bets_;
  const std::size_t nodes_max_;
  const std::function<std::string(std::size_t)> detector_;
  evidence::ValueNames names_;
  evidence::Lattice lattice_;
  evidence::Attribution attribution_;
  evidence::Tick accused_since_ = 0;
};

}  // namespace truekeel::sentinel
