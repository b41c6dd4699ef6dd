// SPDX-License-Identifier: Apache-2.0
// Simulated fleets with one to three faults each: is the first culprit right, are all named?
//   attribution_bench [FLEETS [ENDPOINTS [TOKENS [SEED [PENALTY [LEAD [SLICE [NOISE [CLEAN]]]]]]]]]
// NOISE: share of answers that accuse by chance; CLEAN: tokens before the faults.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "evidence/simulated_fleet.h"

namespace {

using namespace truekeel::evidence;

double argument(int argc, char** argv, int i, double otherwise) {
  return argc > i ? std::strtod(argv[i], nullptr) : otherwise;
}

std::string describe(const Slice& slice) {
  std::string text;
  for (std::size_t i = 0; i < slice.depth(); ++i) {
    const auto [attribute, value] = slice.term(i);
    text += std::string(i > 0 ? "," : "") + std::string(name(attribute)) + "=" + std::to_string(value);
  }
  return slice.depth() == 0 ? "all" : text;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int fleets = static_cast<int>(argument(argc, argv, 1, 30));
  TrialSettings settings;
  settings.endpoints = static_cast<std::uint32_t>(argument(argc, argv, 2, 1000));
  settings.tokens_max = static_cast<std::uint64_t>(argument(argc, argv, 3, 1e7));
  const auto seed = static_cast<std::uint64_t>(argument(argc, argv, 4, 1));
  settings.attribution.log_per_attribute = argument(argc, argv, 5, settings.attribution.log_per_attribute);
  settings.attribution.log_lead = argument(argc, argv, 6, settings.attribution.log_lead);
  settings.attribution.log_per_slice = argument(argc, argv, 7, settings.attribution.log_per_slice);
  settings.noise = argument(argc, argv, 8, settings.noise);
  settings.clean_tokens =
      static_cast<std::uint64_t>(argument(argc, argv, 9, static_cast<double>(settings.clean_tokens)));
  int named = 0, first_right = 0, all_detected = 0, all_named = 0, extra = 0;
  std::vector<double> alarm_tokens, ratio;
  for (int i = 0; i < fleets; ++i) {
    settings.faults = 1 + static_cast<std::uint32_t>(i % 3);
    const Trial trial = run_trial(settings, seed + static_cast<std::uint64_t>(i));
    const bool first = !trial.named.empty() && trial.fault_named[0] >= 0;
    named += !trial.named.empty();
    first_right += first;
    const bool detected = std::ranges::all_of(trial.detected, [](bool d) { return d; });
    std::size_t right = 0;
    for (std::size_t fault = 0; fault < trial.faults.size(); ++fault)
      right += std::ranges::find(trial.fault_named, static_cast<int>(fault)) != trial.fault_named.end();
    all_detected += detected;
    all_named += detected && right == trial.faults.size();
    extra += static_cast<int>(std::ranges::count(trial.fault_named, -1));
    if (!trial.named.empty()) {
      alarm_tokens.push_back(static_cast<double>(trial.tokens_to_first_alarm));
      ratio.push_back(static_cast<double>(trial.tokens_to_first_name) /
                      static_cast<double>(trial.tokens_to_first_alarm));
    }
    std::printf(
        "fleet %d: %zu faults, %zu named right, first %s; log A %.1f, %zu nodes, %.2e tokens (alarm %.2e, "
        "name %.2e)\n",
        i, trial.faults.size(), right,
        trial.named.empty() ? "none"
        : first             ? "right"
                            : "WRONG",
        trial.log_threshold, trial.nodes, static_cast<double>(trial.tokens),
        static_cast<double>(trial.tokens_to_first_alarm), static_cast<double>(trial.tokens_to_first_name));
    for (const auto& fault : trial.faults)
      std::printf("    fault %.4f in %s\n", fault.rate, describe(fault.slice).c_str());
    for (std::size_t j = 0; j < trial.named.size(); ++j)
      if (trial.fault_named[j] < 0) std::printf("    named %s\n", describe(trial.named[j]).c_str());
    std::fflush(stdout);
  }
  std::printf(
      "%d fleets, seeds %llu..: first culprit right in %d of %d; all named in %d of %d where all were "
      "detected; %d names without a fault of exactly that traffic; median tokens to alarm %.3g, to the "
      "first name %.2f times that\n",
      fleets, static_cast<unsigned long long>(seed), first_right, named, all_named, all_detected, extra,
      median(alarm_tokens), median(ratio));
}
