// SPDX-License-Identifier: Apache-2.0
// A fleet and findings for tests: servers s1..s8 in pool short, l1..l4 in pool long, versions v1 and v2 in
// turn.
#pragma once

#include <string>
#include <vector>

#include "incident/finding.h"

namespace truekeel::incident {

inline const WallTime kTestStart{std::chrono::hours(490'000)};

inline std::vector<EndpointFacts> test_fleet() {
  std::vector<EndpointFacts> fleet;
  for (const auto& [pool, letter, count] : {std::tuple("short", 's', 8), std::tuple("long", 'l', 4)}) {
    for (int i = 1; i <= count; ++i) {
      fleet.push_back({letter + std::to_string(i),
                       {{"pool", {pool}}, {"class", {pool}}, {"version", {i % 2 == 1 ? "v1" : "v2"}}}});
    }
  }
  return fleet;
}

inline Finding test_finding(std::string id, Traffic traffic, WallTime detected, bool convicted = false) {
  Finding finding;
  finding.id = std::move(id);
  finding.signal = "audit";
  finding.detector = "tokens from the tail";
  finding.log_statistic = 25;
  finding.log_threshold = 24;
  finding.expected_false_alarms = 0.001;
  finding.observations = 1200;
  finding.requests = 9;
  finding.sessions = 5;
  finding.traffic = std::move(traffic);
  finding.convicted = convicted;
  finding.onset = detected - std::chrono::seconds(90);
  finding.first_seen = detected - std::chrono::seconds(80);
  finding.detected = detected;
  if (convicted) finding.attributed = detected + std::chrono::seconds(20);
  return finding;
}

}  // namespace truekeel::incident
