// SPDX-License-Identifier: Apache-2.0
// The conformance kit's entry: plans the checks that a sampler's declared semantics call for, runs them,
// makes failures small. Thread safety: one run uses its sampler from the calling thread.
// Invariant: over a whole run, the probability that a correct sampler fails any statistical check is at
// most Options::alpha.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/check.h"

namespace truekeel::conformance {

struct Options {
  double alpha = 1e-6;           ///< family-wise error of all statistical checks together
  std::uint64_t draws = 20'000;  ///< of each statistical check
  std::uint64_t seed = 1;
  std::string only = {};  ///< checks whose name contains this; empty: all
  bool shrink = true;
  std::size_t shrink_budget = 200;  ///< probes spent on making one failure small
};

enum class Status {
  passed,
  failed,     ///< the sampler does not do what it declares
  observed,   ///< the semantics leave it open; what happens is told
  undecided,  ///< no answer in time
};

struct Outcome {
  std::string name = {};
  std::string law = {};
  Status status = Status::passed;
  Seen seen = {};
  std::uint64_t draws = 0;
  std::vector<Row> example = {};  ///< the smallest rows that still fail; empty unless failed
};

struct Report {
  Semantics semantics = {};
  Options options = {};
  double alpha_each = 0;
  std::vector<Outcome> outcomes = {};

  [[nodiscard]] std::size_t count(Status status) const;
  [[nodiscard]] bool conforms() const { return count(Status::failed) == 0; }
};

/// All checks for these semantics, in the order of the report.
[[nodiscard]] std::vector<Check> plan(const Semantics& semantics, std::string_view only = {});

/// Runs the plan. `progress` is called before each check with its number, the total and its name.
[[nodiscard]] Report run(
    Sampler& sampler, const Options& options,
    const std::function<void(std::size_t, std::size_t, std::string_view)>& progress = {});

[[nodiscard]] std::string_view name_of(Status status);

}  // namespace truekeel::conformance
