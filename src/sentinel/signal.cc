// SPDX-License-Identifier: Apache-2.0
#include "sentinel/signal.h"

#include <algorithm>
#include <array>
#include <utility>

#include "evidence/snapshot.h"

namespace truekeel::sentinel {
namespace {

using namespace evidence;

/// A search that has not ended after so many windows, a day of those that end by the clock, has lost its
/// traffic: the next alarm starts another.
constexpr Tick kSearchMost = 4 * 86'400;

/// Client versions come from clients, everything else from the configuration and the servers.
constexpr std::size_t kValuesMax = 1u << 14;

}  // namespace

bool may_hold(const Slice& slice, const Coordinates& endpoint) {
  constexpr std::array kFixed = {Attribute::endpoint, Attribute::pool, Attribute::hardware,
                                 Attribute::version, Attribute::fingerprint};
  for (std::size_t i = 0; i < slice.depth(); ++i) {
    const auto [attribute, value] = slice.term(i);
    if (std::ranges::find(kFixed, attribute) != kFixed.end() && endpoint[attribute] != value) return false;
  }
  return true;
}

Signal::Signal(std::string name, const RatioBets& bets, std::size_t nodes_max,
               std::function<std::string(std::size_t)> detector)
    : name_(std::move(name)),
      bets_(bets),
      nodes_max_(nodes_max),
      detector_(std::move(detector)),
      names_(kValuesMax),
      lattice_(bets.log_weights(), {.nodes_max = nodes_max}) {}

SignalEvents Signal::flush(Tick tick, double log_stake) {
  SignalEvents events;
  events.alarms = lattice_.flush(tick, log_stake, &attribution_);
  const bool searched = attribution_.running();
  attribution_.begin(lattice_, events.alarms, log_stake);
  if (!searched && attribution_.running()) accused_since_ = tick;
  lattice_.reset(events.alarms);
  events.culprit = attribution_.decide(lattice_, tick);
  if (attribution_.running() && tick - accused_since_ > kSearchMost) attribution_.end(lattice_);
  return events;
}

std::optional<Slice> Signal::suspect() const {
  return attribution_.running() ? attribution_.leader() : std::nullopt;
}

incident::Traffic Signal::shown(const Slice& slice) const {
  const NodeId node = lattice_.find(slice);
  const bool all = node != kNoNode && lattice_.may_be_shown(node);
  incident::Traffic traffic;
  for (std::size_t i = 0; i < slice.depth(); ++i) {
    const auto [attribute, value] = slice.term(i);
    const bool hidden = client_derived(attribute) && !all;
    traffic.push_back({std::string(evidence::name(attribute)),
                       hidden ? "(fewer than 5 clients)" : std::string(names_.text(attribute, value))});
  }
  return traffic;
}

std::vector<Slice> Signal::heal(const Coordinates& endpoint) {
  std::vector<Slice> healed(lattice_.peeled().begin(), lattice_.peeled().end());
  std::erase_if(healed, [&](const Slice& slice) { return !may_hold(slice, endpoint); });
  for (const Slice& slice : healed) lattice_.unpeel(slice);
  return healed;
}

std::string Signal::save(Tick tick, double log_stake) const {
  return evidence::save(lattice_, names_, tick, log_stake);
}

Result<Signal::Saved> Signal::read(std::string_view bytes) const {
  Saved saved{.about = {},
              .names = ValueNames(kValuesMax),
              .lattice = Lattice(bets_.log_weights(), {.nodes_max = nodes_max_})};
  const auto restored = evidence::restore(bytes, saved.lattice, saved.names);
  if (!restored) return std::unexpected(restored.error());
  saved.about = *restored;
  return saved;
}

void Signal::go_on_from(Saved saved) {
  names_ = std::move(saved.names);
  lattice_ = std::move(saved.lattice);
}

}  // namespace truekeel::sentinel
