// SPDX-License-Identifier: Apache-2.0
#include "incident/impact.h"

#include <algorithm>

#include "base/philox.h"

namespace truekeel::incident {
namespace {

std::int64_t slot_of(WallTime at) {
  return std::chrono::floor<std::chrono::minutes>(at).time_since_epoch() / ImpactLedger::kSlot;
}

WallTime beginning_of(std::int64_t slot) { return WallTime(slot * ImpactLedger::kSlot); }

bool counted(const Term& term, std::span<const EndpointFacts> fleet) {
  if (term.attribute == "endpoint" || term.attribute == "class") return true;
  return std::ranges::all_of(fleet, [&](const EndpointFacts& endpoint) {
    const auto stated = endpoint.values.find(term.attribute);
    return stated != endpoint.values.end() && stated->second.size() <= 1;
  });
}

}  // namespace

void ImpactLedger::count(std::string_view endpoint, std::string_view context_class, std::uint64_t session,
                         WallTime at) {
  auto& cell = cells_[{slot_of(at), std::string(endpoint), std::string(context_class)}];
  ++cell.requests;
  cell.sessions.add(philox_bits(key_, session, 0));
  if (cells_.size() > cells_max_) cells_.erase(cells_.begin());  // the oldest
}

void ImpactLedger::add(const ImpactLedger& other) {
  for (const auto& [key, counted] : other.cells_) {
    auto& cell = cells_[key];
    cell.requests += counted.requests;
    cell.sessions.merge(counted.sessions);
  }
  while (cells_.size() > cells_max_) cells_.erase(cells_.begin());
}

bool ImpactLedger::holds(const Traffic& traffic, const std::set<std::string>& endpoints, const Key& key) {
  const auto& [slot, endpoint, context_class] = key;
  return endpoints.contains(endpoint) && std::ranges::none_of(traffic, [&](const Term& term) {
           return term.attribute == "class" && term.value != context_class;
         });
}

Impact ImpactLedger::measure(const Traffic& traffic, std::span<const EndpointFacts> fleet, WallTime from,
                             WallTime to) const {
  const auto names = endpoints_of(traffic, fleet);
  const std::set<std::string> endpoints(names.begin(), names.end());
  Impact impact{.since = to};
  if (!cells_.empty())
    impact.since = beginning_of(std::max(slot_of(from), std::get<Slot>(cells_.begin()->first)));
  Distinct inside, all;
  struct Hour {
    std::uint64_t inside = 0, all = 0;
  };
  std::map<WallTime, Hour> hours;
  for (auto at = cells_.lower_bound({slot_of(from), "", ""}); at != cells_.end(); ++at) {
    const auto& [key, cell] = *at;
    if (std::get<Slot>(key) > slot_of(to)) break;
    auto& hour = hours[std::chrono::floor<std::chrono::hours>(beginning_of(std::get<Slot>(key)))];
    hour.all += cell.requests;
    impact.requests_all += cell.requests;
    all.merge(cell.sessions);
    if (!holds(traffic, endpoints, key)) continue;
    hour.inside += cell.requests;
    impact.requests += cell.requests;
    inside.merge(cell.sessions);
  }
  impact.sessions = inside.estimate();
  impact.sessions_all = all.estimate();
  for (const auto& [begin, hour] : hours) {
    const double share = static_cast<double>(hour.inside) / static_cast<double>(hour.all);
    if (share <= impact.worst_share) continue;
    impact.worst_share = share;
    impact.worst_hour = begin;
  }
  impact.exact = std::ranges::all_of(traffic, [&](const Term& term) { return counted(term, fleet); });
  return impact;
}

void ImpactLedger::forget_before(WallTime at) {
  cells_.erase(cells_.begin(), cells_.lower_bound({slot_of(at), "", ""}));
}

}  // namespace truekeel::incident
