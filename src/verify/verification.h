// SPDX-License-Identifier: Apache-2.0
// One verification, from the first question to the report. Thread safety: one thread, that of its Net.
// Invariant: it ends, by being sure, by the budget or by stop(), and the report says what is known by then.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "http/net.h"
#include "verify/budget.h"
#include "verify/capabilities.h"
#include "verify/report.h"
#include "verify/server.h"

namespace truekeel::verify {

struct Recipe;

struct Settings {
  Access target;
  Hints target_hints;
  std::optional<Access> reference;
  Hints reference_hints;
  bool sampler = true;  ///< audit it; else compare with the reference alone
  unsigned width = 2;   ///< calls at once
  std::uint64_t tokens_most = 200'000;
  Duration time_most = std::chrono::seconds(200);
  double audit_error = 1e-3;  ///< of objecting to a sampler without fault
  DifferenceSettings test;
  std::uint64_t seed = 1;
};

/// How far it is; for a person who waits.
struct Progress {
  std::string_view phase;
  std::uint64_t tokens = 0;
  double seconds = 0, seconds_most = 0;
  double evidence = 0;  ///< as a share of what an accusation takes
};

class Verification {
 public:
  using Watch = std::function<void(const Progress&)>;

  /// `net` is borrowed for life.
  Verification(http::Net& net, Settings settings, Watch watch);

  /// Once.
  [[nodiscard]] http::Task<Report> run();

  /// Ends it soon, with what is known.
  void stop();

 private:
  [[nodiscard]] http::Task<ServerReport> ask(Server& server, const Hints& hints);
  struct Answer;

  [[nodiscard]] http::Task<AuditReport> audit(const Capabilities& can);
  /// `can` and `recipe` are borrowed until it is done.
  [[nodiscard]] http::Task<Answer> answer(const Capabilities& can, const Recipe& recipe, std::string prompt);
  [[nodiscard]] http::Task<ComparisonReport> comparison(const Capabilities& target,
                                                        const Capabilities& reference);
  [[nodiscard]] AuditReport conclude(const SamplerAudit& audit) const;
  void tell(std::string_view phase, double evidence) const;

  http::Net& net_;
  const Settings settings_;
  const Watch watch_;
  const Instant began_;
  Budget budget_;
  Server target_;
  std::optional<Server> reference_;
};

}  // namespace truekeel::verify
