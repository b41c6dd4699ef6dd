// SPDX-License-Identifier: Apache-2.0
// A fleet of many endpoints with faults in some slices of its traffic, audited by flags, for measuring
// attribution. Thread safety: values.
#pragma once

#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "evidence/attribution.h"

namespace truekeel::evidence {

struct SimulatedRequest {
  Coordinates where;
  std::uint32_t tokens = 0;
};

class SimulatedFleet {
 public:
  SimulatedFleet(std::uint32_t endpoints, PhiloxStream& random);

  [[nodiscard]] SimulatedRequest request(PhiloxStream& random) const;

 private:
  std::vector<Coordinates> endpoints_;  // what an endpoint fixes for its requests
};

struct SliceFault {
  Slice slice;
  double rate = 0;  ///< share of faulty tokens in the slice
};

struct TrialSettings {
  std::uint32_t endpoints = 1000;
  std::uint32_t faults = 1;
  std::uint64_t clean_tokens = 1'000'000;  ///< before the faults begin
  std::uint64_t tokens_max = 100'000'000;  ///< after that
  double null_rate = 1e-5;                 ///< of flags among clean tokens, and what the detectors tolerate
  double rate_least = 0.001, rate_most = 0.16;
  /// Share of answers that accuse by chance, under a bet of their own that is exactly fair; 0: none.
  double noise = 0;
  double false_alarms_per_day = 0.1;
  double tokens_per_s = 12'000;
  AttributionSettings attribution = {};
};

struct Trial {
  std::vector<SliceFault> faults;
  std::vector<Slice> named = {};      ///< in this order
  std::vector<int> fault_named = {};  ///< per name: the fault with exactly this traffic, or -1
  std::vector<bool> detected = {};    ///< per fault: a slice with exactly its traffic alarmed
  std::uint64_t tokens_to_first_alarm = 0, tokens_to_first_name = 0, tokens = 0;  ///< since the faults began
  std::size_t false_alarms = 0;                                                   ///< before they did
  double log_threshold = 0;
  std::size_t nodes = 0;
};

/// Runs until every fault is named, or the tokens are used up.
[[nodiscard]] Trial run_trial(const TrialSettings& settings, std::uint64_t seed);

}  // namespace truekeel::evidence
