// SPDX-License-Identifier: Apache-2.0
// What every test of a mutant says: the clean sampler passes these checks, the mutant fails one of them.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "conformance/clean_sampler.h"
#include "conformance/kit.h"

namespace truekeel::conformance {

inline Report run_checks(Sampler& sampler, std::string_view only, std::uint64_t draws = Options{}.draws) {
  return run(sampler, {.draws = draws, .only = std::string(only)});
}

inline void expect_passes(Sampler& clean, std::string_view only, std::uint64_t draws = Options{}.draws) {
  const Report report = run_checks(clean, only, draws);
  ASSERT_FALSE(report.outcomes.empty()) << "no check is named like " << only;
  for (const Outcome& outcome : report.outcomes)
    EXPECT_EQ(outcome.status, Status::passed) << outcome.name << ": " << outcome.seen.what;
}

inline void expect_fails(Sampler& mutant, std::string_view only, std::uint64_t draws = Options{}.draws) {
  const Report report = run_checks(mutant, only, draws);
  EXPECT_GT(report.count(Status::failed), 0U) << "the mutant passes " << only;
  for (const Outcome& outcome : report.outcomes)
    if (outcome.status == Status::failed) EXPECT_FALSE(outcome.example.empty()) << outcome.name;
}

/// `only` selects the checks by name.
template <class Mutant, class Clean = CleanSampler>
void expect_caught(std::string_view only, std::uint64_t draws = Options{}.draws) {
  Clean clean;
  expect_passes(clean, only, draws);
  Mutant mutant;
  expect_fails(mutant, only, draws);
}

}  // namespace truekeel::conformance
