// SPDX-License-Identifier: Apache-2.0
#include "incident/book.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"

namespace truekeel::incident {
namespace {

/// From this score on the likeliest change is taken as the cause.
constexpr double kLikelyCause = 0.5;

Finding in_order(Finding finding) {
  finding.first_seen = std::min(finding.first_seen, finding.detected);
  finding.onset = std::min(finding.onset, finding.first_seen);
  if (finding.convicted) {
    finding.attributed = std::max(finding.attributed.value_or(finding.detected), finding.detected);
  }
  return finding;
}

void take_times(Times& times, const Finding& finding) {
  times.first_impact = std::min(times.first_impact, finding.onset);
  times.first_signal = std::min(times.first_signal, finding.first_seen);
  times.detected = std::min(times.detected, finding.detected);
  if (finding.attributed && (!times.attributed || *finding.attributed < *times.attributed)) {
    times.attributed = finding.attributed;
  }
}

bool apart(WallTime a, WallTime b, Duration most) { return (a < b ? b - a : a - b) > most; }

void note(Book::Changed& changed, std::uint64_t number) {
  const auto at = std::ranges::lower_bound(changed, number);
  if (at == changed.end() || *at != number) changed.insert(at, number);
}

}  // namespace

Book::Tie Book::tie(const Incident& incident, const Finding& finding) const {
  if (!incident.open()) return Tie::none;
  const bool near = !apart(incident.last_finding, finding.detected, settings_.near);
  const bool inside = covers(incident.traffic, finding.traffic, fleet_);
  const bool around = covers(finding.traffic, incident.traffic, fleet_);
  if (inside && around && (near || incident.convicted)) return Tie::same;
  if (!near) return Tie::none;
  if (inside || around) return Tie::cover;
  const bool two_causes = incident.convicted && finding.convicted;
  return !two_causes && overlaps(incident.traffic, finding.traffic, fleet_) ? Tie::overlap : Tie::none;
}

Incident* Book::home_of(const Finding& finding) {
  Incident* home = nullptr;
  Tie best = Tie::none;
  for (auto& [number, incident] : incidents_) {
    Tie bond = tie(incident, finding);
    const bool has =
        std::ranges::find(incident.findings, finding.id, &Finding::id) != incident.findings.end();
    // What only its own alarm says of it cannot contradict its conviction.
    if (has && incident.open() && (bond != Tie::none || incident.findings.size() == 1)) bond = Tie::id;
    if (bond <= best) continue;
    best = bond;
    home = &incident;
  }
  return home;
}

Incident& Book::begin(const Finding& finding) {
  const auto number = ++last_number_;
  auto& incident = incidents_[number];
  incident.number = number;
  incident.times.first_impact = finding.onset;
  incident.times.first_signal = finding.first_seen;
  incident.times.detected = finding.detected;
  incident.last_finding = finding.detected;
  use_traffic(incident, finding);
  incident.history.push_back({.at = now_,
                              .from = {},
                              .to = Status::investigating,
                              .because = fmt::format("{}: {}", finding.signal, finding.detector)});
  return incident;
}

void Book::use_traffic(Incident& incident, const Finding& finding) {
  incident.traffic = finding.traffic;
  incident.same_traffic = finding.same_traffic;
  incident.impact.reset();
  incident.carriers.clear();
  for (auto& name : endpoints_of(incident.traffic, fleet_)) {
    const auto seen = carriers_.find(name);
    incident.carriers.push_back(seen == carriers_.end() ? Carrier{.endpoint = std::move(name)}
                                                        : seen->second);
  }
}

void Book::take_back(const Finding& finding, const Incident& home, Changed& changed) {
  for (auto& [number, incident] : incidents_) {
    if (&incident == &home || !incident.open()) continue;
    const auto same_id = [&](const Finding& other) { return other.id == finding.id; };
    if (std::erase_if(incident.findings, same_id) == 0) continue;
    TK_ASSERT(!incident.findings.empty());  // else it would have been the home
    note(changed, number);
  }
}

void Book::add(Incident& incident, const Finding& finding) {
  const auto same = std::ranges::find(incident.findings, finding.id, &Finding::id);
  if (same != incident.findings.end()) {
    *same = finding;
  } else if (incident.findings.size() < kFindingsMax) {
    incident.findings.push_back(finding);
  } else {
    ++incident.findings_left_out;
  }
  take_times(incident.times, finding);
  if (incident.times.introduced > incident.times.first_impact) incident.times.introduced.reset();
  incident.last_finding = std::max(incident.last_finding, finding.detected);
}

void Book::convict(Incident& incident, const Finding& finding) {
  const bool wider = incident.convicted && covers(finding.traffic, incident.traffic, fleet_) &&
                     !covers(incident.traffic, finding.traffic, fleet_);
  if (incident.convicted && !wider) return;
  use_traffic(incident, finding);
  incident.convicted = true;
  if (wider) {
    incident.times.drained.reset();
    incident.released.reset();
  }
}

void Book::join_covered(Incident& incident, Changed& changed) {
  for (auto& [number, other] : incidents_) {
    if (&other == &incident || !other.open()) continue;
    if (apart(other.last_finding, incident.last_finding, settings_.near)) continue;
    if (!covers(incident.traffic, other.traffic, fleet_)) continue;
    for (const auto& finding : other.findings) add(incident, finding);
    incident.findings_left_out += other.findings_left_out;
    other.joined = incident.number;
    other.times.resolved = now_;
    settle(other, fmt::format("part of {}", id_of(incident.number)));
    note(changed, number);
  }
}

void Book::relate(Incident& incident, Changed& changed) {
  const auto name = [&](Incident& to, std::uint64_t number) {
    if (std::ranges::find(to.related, number) != to.related.end()) return;
    to.related.push_back(number);
    note(changed, to.number);
  };
  for (auto& [number, other] : incidents_) {
    if (&other == &incident || !other.open() || !other.convicted) continue;
    if (!overlaps(incident.traffic, other.traffic, fleet_)) continue;
    name(incident, number);
    name(other, incident.number);
  }
}

void Book::settle(Incident& incident, std::string because) {
  auto& times = incident.times;
  for (const auto& carrier : incident.carriers) {
    if (!incident.convicted || !carrier.drained) continue;
    if (!times.action_started || *carrier.drained < *times.action_started)
      times.action_started = carrier.drained;
  }
  const Status now = status_of(incident);
  if (now == incident.status) return;
  if (now == Status::contained) {
    times.drained = now_;
    incident.released.reset();
  }
  incident.history.push_back({.at = now_, .from = incident.status, .to = now, .because = std::move(because)});
  incident.status = now;
}

void Book::bound() {
  for (auto at = incidents_.begin(); at != incidents_.end() && incidents_.size() > settings_.incidents_max;) {
    at = at->second.open() ? std::next(at) : incidents_.erase(at);
  }
}

Book::Changed Book::on_finding(const Finding& raw, WallTime now) {
  now_ = std::max(now_, now);
  const Finding finding = in_order(raw);
  Incident* const home = home_of(finding);
  Incident& incident = home != nullptr ? *home : begin(finding);
  Changed changed{incident.number};
  take_back(finding, incident, changed);
  add(incident, finding);
  if (finding.convicted) convict(incident, finding);
  if (incident.released && finding.detected > *incident.released) incident.released.reset();
  if (incident.times.verified && finding.detected > *incident.times.verified) incident.times.verified.reset();
  settle(incident, fmt::format("{}: {}", finding.signal, finding.detector));
  if (finding.convicted) {
    join_covered(incident, changed);
    relate(incident, changed);
  }
  bound();
  return changed;
}

template <class Update>
Book::Changed Book::update_open(Update update) {
  Changed changed;
  for (auto& [number, incident] : incidents_) {
    if (incident.open() && update(incident)) changed.push_back(number);
  }
  return changed;
}

Book::Changed Book::on_routing(std::span<const Routing> routing, WallTime now) {
  now_ = std::max(now_, now);
  for (const auto& seen : routing) {
    auto& carrier = carriers_[std::string(seen.endpoint)];
    const auto since = carrier.drained.value_or(now_);
    carrier = {.endpoint = std::string(seen.endpoint)};
    // How many run elsewhere changes with every request, and says nothing.
    if (seen.drained) carrier = {carrier.endpoint, since, seen.in_flight, seen.routed_since_drain};
  }
  return update_open([&](Incident& incident) {
    bool different = false, serves_again = false;
    for (auto& carrier : incident.carriers) {
      const auto seen = carriers_.find(carrier.endpoint);
      if (seen == carriers_.end() || seen->second == carrier) continue;
      different = true;
      serves_again |= carrier.drained && !seen->second.drained;
      carrier = seen->second;
    }
    if (serves_again && incident.status == Status::contained) incident.released = now_;
    if (different)
      settle(incident, serves_again ? "a server of the culprit serves again" : "drained by the operator");
    return different;
  });
}

Book::Changed Book::on_verified(std::uint64_t number, WallTime now) {
  now_ = std::max(now_, now);
  return update_open([&](Incident& incident) {
    const bool ready = incident.status == Status::contained || incident.status == Status::monitoring;
    if (incident.number != number || !ready) return false;
    incident.times.verified = now_;
    settle(incident, "proven well");
    return true;
  });
}

Book::Changed Book::on_resolved(std::uint64_t number, std::string why, WallTime now) {
  now_ = std::max(now_, now);
  return update_open([&](Incident& incident) {
    if (incident.number != number) return false;
    incident.times.resolved = now_;
    incident.resolution = std::move(why);
    settle(incident, "closed by a person");
    return true;
  });
}

Book::Changed Book::on_changes(std::span<const Change> changes) {
  return update_open([&](Incident& incident) {
    auto ranked =
        rank_changes(changes, incident.traffic, incident.times.first_impact, incident.times.detected, fleet_);
    if (ranked == incident.changes) return false;
    incident.changes = std::move(ranked);
    incident.times.introduced.reset();
    const auto* likeliest = incident.changes.empty() ? nullptr : &incident.changes.front();
    if (likeliest && likeliest->score >= kLikelyCause && likeliest->before_onset >= Duration::zero()) {
      incident.times.introduced = likeliest->change.at;
    }
    return true;
  });
}

Book::Changed Book::on_impact(const ImpactLedger& ledger, WallTime now) {
  now_ = std::max(now_, now);
  return update_open([&](Incident& incident) {
    // Once contained, the rest of the traffic would dilute the shares.
    if (incident.status > Status::identified) return false;
    auto impact = ledger.measure(incident.traffic, fleet_, incident.times.first_impact, now_);
    // Counts live in memory alone: what an earlier run recorded reaches further back, and stands.
    const bool recorded = incident.impact && incident.impact->requests_all > 0;
    if (impact.requests_all == 0 || (recorded && impact.since > incident.impact->since)) return false;
    if (impact == incident.impact) return false;
    incident.impact = std::move(impact);
    return true;
  });
}

void Book::restore(Incident incident) {
  last_number_ = std::max(last_number_, incident.number);
  for (const auto& carrier : incident.carriers) {
    if (incident.open() && carrier.drained) carriers_.insert_or_assign(carrier.endpoint, carrier);
  }
  const auto number = incident.number;
  incidents_.insert_or_assign(number, std::move(incident));
}

const Incident* Book::find(std::uint64_t number) const {
  const auto found = incidents_.find(number);
  return found == incidents_.end() ? nullptr : &found->second;
}

}  // namespace truekeel::incident
