// SPDX-License-Identifier: Apache-2.0
#include "gateway/incident_watch.h"

#include <algorithm>
#include <tuple>

namespace truekeel::gateway {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(200);
constexpr Duration kMeasure = std::chrono::seconds(10);

}  // namespace

http::Task<void> IncidentWatch::run() {
  while (true) {
    look();
    co_await net_.sleep_until(net_.now() + kLook);
  }
}

void IncidentWatch::look() {
  const Instant now = net_.now();
  auto& desk = *shared_.incidents();
  const auto [held, ids, seen] = shared_.fleet([&](const fleet::Fleet& fleet) {
    return std::tuple(fleet.config(), fleet.endpoints(), routing_of(fleet, now));
  });
  auto routing = seen;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto upstream = shared_.upstream(ids[i]);
    if (!upstream) continue;
    auto fingerprint = upstream->fingerprint();
    const auto [told, fresh] = fingerprints_.try_emplace(std::string(routing[i].endpoint));
    if (fingerprint == told->second) continue;
    desk.set_fingerprint(routing[i].endpoint, fingerprint);
    told->second = std::move(fingerprint);
  }
  // Who removes an endpoint has drained it: no call goes there any more.
  for (const auto& [name, fingerprint] : fingerprints_) {
    if (std::ranges::find(seen, name, &incident::Routing::endpoint) != seen.end()) continue;
    routing.push_back({name, true, 0, 0});
  }
  desk.on_routing(routing, net_.wall_now());
  if (measured_ != Instant::min() && now - measured_ < kMeasure) return;
  measured_ = now;
  desk.measure(net_.wall_now());
}

}  // namespace truekeel::gateway
