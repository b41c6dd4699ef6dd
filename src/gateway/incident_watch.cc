// SPDX-License-Identifier: Apache-2.0
#include "gateway/incident_watch.h"

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
  const auto routing = shared_.fleet([&](const fleet::Fleet& fleet) { return routing_of(fleet, now); });
  fingerprints_.resize(routing.size());
  for (fleet::EndpointId id = 0; id < routing.size(); ++id) {
    auto fingerprint = shared_.upstream(id).fingerprint();
    if (fingerprint == fingerprints_[id]) continue;
    desk.set_fingerprint(routing[id].endpoint, fingerprint);
    fingerprints_[id] = std::move(fingerprint);
  }
  desk.on_routing(routing, net_.wall_now());
  if (measured_ != Instant::min() && now - measured_ < kMeasure) return;
  measured_ = now;
  desk.measure(net_.wall_now());
}

}  // namespace truekeel::gateway
