// SPDX-License-Identifier: Apache-2.0
// The end of a window: what enters, what it costs of the budget, and what comes of it.
#include <algorithm>
#include <cmath>
#include <utility>

#include "sentinel/auditor.h"

namespace truekeel::sentinel {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// Of the running means of traffic.
constexpr double kMemoryMinutes = 3;

/// How finely windows are remembered, and how many: a day.
constexpr auto kWindowsEvery = seconds(1);
constexpr std::size_t kWindowsMost = 86'400;

/// A server whose answers come without records for longer gives none: longer than any answer waits.
constexpr auto kLately = minutes(3);

constexpr auto kTellAgainAfter = minutes(1);

}  // namespace

bool Auditor::flush_due(Instant now) const { return clock_.due(now, waiting_); }

void Auditor::enter_streams() {
  for (auto& [id, answer] : answers_) {
    if (answer.whole) continue;
    enter(answer);
    // The next tokens are generated beside as many others as there are now.
    put_batch(answer.where, answer.about.endpoint);
  }
}

/// Returns for each signal how long ago the earliest was admitted that entered now.
Auditor::Waits Auditor::release(Instant now) {
  Waits waits{};
  whole_order_.release(now, [&](auto, std::optional<Tokens> tokens) {
    const Queued answer = std::move(whole_queue_.front());
    whole_queue_.pop_front();
    if (tokens) {
      waits[kAudit] = std::max(waits[kAudit], now - answer.admitted);
    } else {
      tokens.emplace();
      tokens->sums.assign(audit_.bets().cells(), 0.0f);
      tokens->count = static_cast<std::uint32_t>(answer.output_most);
      audit_.bets().add_lost(answer.output_most, tokens->sums);
      tokens->lost[std::to_underlying(Lost::late)] = answer.output_most;
    }
    count(answer.endpoint, *tokens);
    if (tokens->count == 0) return;
    audit_.add(answer.where[kAudit], {.log_factors = tokens->sums,
                                      .tokens = tokens->count,
                                      .client = answer.client,
                                      .session = answer.session});
  });
  verdict_order_.release(now, [&](auto, std::optional<Verdicts> verdicts) {
    const Queued answer = std::move(verdict_queue_.front());
    verdict_queue_.pop_front();
    Endpoint& endpoint = at(answer.endpoint);
    if (verdicts) waits[kInvariant] = std::max(waits[kInvariant], now - answer.admitted);
    endpoint.audit.verdicts += verdicts.has_value();
    endpoint.audit.verdicts_late += !verdicts && answers_.contains(answer.answer);
    const EngineKind engine = endpoint.config->engine;
    std::vector<float> sums(invariant_bets_.cells(), 0.0f);
    invariant_bets_.add(verdicts ? book_.ratios(engine, *verdicts) : book_.lost(engine), sums);
    invariants_.add(answer.where[kInvariant],
                    {.log_factors = sums, .tokens = 1, .client = answer.client, .session = answer.session});
  });
  return waits;
}

void Auditor::note_window(evidence::Tick tick, WallTime wall, const Waits& waits) {
  std::array<WallTime, 2> earliest;
  for (const std::size_t which : {kAudit, kInvariant})
    earliest[which] = std::min(wall_, wall - std::chrono::ceil<milliseconds>(waits[which]));
  if (windows_.empty() || wall - windows_.back().ended >= kWindowsEvery) {
    windows_.push_back({tick, wall, earliest});
    if (windows_.size() > kWindowsMost) windows_.pop_front();
    return;
  }
  for (const std::size_t which : {kAudit, kInvariant})
    windows_.back().earliest[which] = std::min(windows_.back().earliest[which], earliest[which]);
}

std::vector<incident::Finding> Auditor::flush(Instant now, WallTime wall) {
  enter_streams();
  const Waits waits = release(now);
  forget_removed();
  const evidence::Tick tick = clock_.tick();
  note_window(tick, wall, waits);
  wall_ = wall;
  const double log_stake = budget_.log_stake();
  std::vector<incident::Finding> findings;
  const SignalEvents audit = audit_.flush(tick, log_stake);
  const SignalEvents invariants = invariants_.flush(tick, log_stake);
  report(kAudit, audit, findings);
  report(kInvariant, invariants, findings);
  budget_.next_window(now, audit_.touched() + invariants_.touched());
  measure_traffic(now - flushed_);
  flushed_ = now;
  clock_.flushed(now);
  waiting_ = 0;
  return findings;
}

void Auditor::measure_traffic(Duration window) {
  const double minutes_passed = duration<double, std::ratio<60>>(window).count();
  if (minutes_passed <= 0) return;
  const double weight = 1 - std::exp(-minutes_passed / kMemoryMinutes);
  for (auto& [id, endpoint] : endpoints_) {
    EndpointAudit& audit = endpoint.audit;
    const auto rate = [&](std::uint64_t total, std::uint64_t& before, double& mean) {
      const auto news = static_cast<double>(total - std::exchange(before, total));
      mean += weight * (news / minutes_passed - mean);
    };
    if (audit.tokens > endpoint.tokens_before) audit.tokens_at = wall_;
    if (audit.answers > endpoint.answers_before) audit.answers_at = wall_;
    rate(audit.tokens, endpoint.tokens_before, audit.tokens_per_minute);
    rate(audit.answers, endpoint.answers_before, audit.answers_per_minute);
    rate(audit.verdicts, endpoint.verdicts_before, audit.verdicts_per_minute);
  }
}

bool Auditor::lately(WallTime at) const { return wall_ - at <= kLately; }

/// The windows that are remembered stand for those that follow them.
const Auditor::Window* Auditor::window_of(evidence::Tick tick) const {
  if (windows_.empty()) return nullptr;
  const auto after = std::ranges::upper_bound(windows_, tick, {}, &Window::tick);
  return after == windows_.begin() ? &windows_.front() : &*std::prev(after);
}

WallTime Auditor::onset_of(const Signal& signal, evidence::Tick tick) const {
  const Window* window = window_of(tick);
  return window ? window->earliest[&signal == &audit_ ? kAudit : kInvariant] : wall_;
}

std::string Auditor::new_id(const Signal& signal) {
  return signal.name() + "-" + std::to_string(wall_.time_since_epoch().count()) + "-" +
         std::to_string(++findings_);
}

incident::Finding Auditor::describe(const Signal& signal, const evidence::Slice& slice, std::size_t cell,
                                    evidence::Tick onset) const {
  incident::Finding finding;
  finding.signal = signal.name();
  finding.detector = signal.detector(cell);
  finding.traffic = signal.shown(slice);
  finding.expected_false_alarms = budget_.spent();
  finding.onset = finding.first_seen = std::min(onset_of(signal, onset), wall_);
  finding.detected = wall_;
  const evidence::NodeId node = signal.lattice().find(slice);
  if (node == evidence::kNoNode) return finding;
  const evidence::NodeInfo& about = signal.lattice().info(node);
  // Of the slice's whole life, the part since the onset, as if its traffic had been even.
  const double life = static_cast<double>(about.last - about.first) + 1,
               since = static_cast<double>(about.last - std::max(onset, about.first)) + 1;
  const auto part = [&](std::uint64_t count) {
    return static_cast<std::uint64_t>(std::llround(static_cast<double>(count) * std::min(1.0, since / life)));
  };
  finding.observations = part(about.tokens);
  finding.requests = part(about.answers);
  finding.sessions = static_cast<std::uint64_t>(signal.lattice().accusers(slice, onset).at_least());
  return finding;
}

void Auditor::report(std::size_t which, const SignalEvents& events,
                     std::vector<incident::Finding>& findings) {
  const Signal& signal = which == kAudit ? audit_ : invariants_;
  auto& searching = searching_[which];
  alarms_ += events.alarms.size();
  const double log_threshold = budget_.log_threshold();
  const auto peeled = signal.lattice().peeled();
  const evidence::Alarm* strongest = nullptr;
  for (const evidence::Alarm& alarm : events.alarms) {
    const bool known = std::ranges::find(peeled, alarm.slice) != peeled.end() &&
                       !(events.culprit && events.culprit->slice == alarm.slice);
    if (!known) {
      if (!strongest || alarm.log_evidence > strongest->log_evidence) strongest = &alarm;
      continue;
    }
    auto& last = told_[signal.name() + signal.names().describe(alarm.slice)];
    if (wall_ - last < kTellAgainAfter) continue;
    last = wall_;
    auto& finding = findings.emplace_back(describe(signal, alarm.slice, alarm.cell, alarm.onset));
    finding.id = new_id(signal);
    finding.log_threshold = log_threshold;
    finding.log_statistic = alarm.log_evidence + log_threshold;
    // The conviction stands until somebody heals the culprit.
    finding.convicted = true;
    finding.attributed = wall_;
  }
  if (strongest && !searching) {
    searching = describe(signal, strongest->slice, strongest->cell, strongest->onset);
    searching->id = new_id(signal);
    searching->log_threshold = log_threshold;
    searching->log_statistic = strongest->log_evidence + log_threshold;
    findings.push_back(*searching);
  }
  if (events.culprit) {
    const evidence::Culprit& culprit = *events.culprit;
    auto& finding = findings.emplace_back(describe(signal, culprit.slice, culprit.cell, culprit.onset));
    finding.id = searching ? searching->id : new_id(signal);
    finding.log_threshold = log_threshold;
    finding.log_statistic = culprit.log_m;
    finding.log_lead = culprit.log_lead;
    finding.convicted = true;
    finding.attributed = wall_;
    finding.detected = searching ? searching->detected : window_of(culprit.alarmed)->ended;
    finding.onset = finding.first_seen = std::min(finding.onset, finding.detected);
    for (const evidence::Slice& other : culprit.same_traffic)
      finding.same_traffic.push_back(signal.shown(other));
    told_[signal.name() + signal.names().describe(culprit.slice)] = wall_;
    ++culprits_;
    searching.reset();
  }
  if (!signal.suspect()) searching.reset();
}

bool Auditor::suspected(fleet::EndpointId endpoint) const {
  if (at(endpoint).rho && at(endpoint).rho->suspect()) return true;
  const auto audit = audit_.suspect(), invariant = invariants_.suspect();
  if (!audit && !invariant) return false;
  const Places places = places_of(endpoint, book_.stated(endpoint));
  return (audit && may_hold(*audit, places[kAudit])) ||
         (invariant && may_hold(*invariant, places[kInvariant]));
}

}  // namespace truekeel::sentinel
