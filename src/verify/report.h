// SPDX-License-Identifier: Apache-2.0
// What a verification found, as a value, as JSON and as text. Thread safety: values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verify/capabilities.h"
#include "verify/comparison.h"
#include "verify/difference.h"
#include "verify/sampler_audit.h"

namespace truekeel::verify {

enum class Verdict : std::uint8_t {
  fine,
  bad,
  undecided,  ///< for want of what the server gives, of tokens or of time
  failed,     ///< a server does not answer
  not_asked,
};
[[nodiscard]] std::string_view name(Verdict verdict);

struct ServerReport {
  std::string url;
  std::optional<Capabilities> can;
  std::string trouble;  ///< why it could not be asked
};

struct RecipeCount {
  std::string name;
  std::uint64_t answers = 0;
};

struct AuditReport {
  Verdict verdict = Verdict::not_asked;
  std::string summary;
  AuditCounts counts;
  double log_e = 0, log_threshold = 0;
  std::string lead;  ///< the alternative that explains the tokens best; empty unless it objects
  double lead_rate = 0;
  std::optional<double> found_tail, found_top1;  ///< shares of tokens at which these would have been found
  std::vector<SamplerAudit::Standing> invariants;
  std::vector<RecipeCount> recipes;
};

struct ComparisonReport {
  Verdict verdict = Verdict::not_asked;
  std::string summary;
  Reading reading = Reading::one_token;
  DifferenceSettings test;
  DifferenceTest::View all;
  std::array<DifferenceTest::View, kStrata> strata = {};
  std::vector<Point> points;
  double within_target = 0, within_reference = 0;  ///< means
  ComparisonCounts counts;
};

struct Report {
  ServerReport target;
  std::optional<ServerReport> reference;
  AuditReport audit;
  ComparisonReport comparison;
  std::uint64_t seed = 0, tokens = 0;
  double seconds = 0;
  bool interrupted = false;

  /// bad if anything is; else failed, else undecided if anything that was asked is.
  [[nodiscard]] Verdict verdict() const;
};

/// One sentence that says it all.
[[nodiscard]] std::string headline(const Report& report);

[[nodiscard]] std::string to_json(const Report& report);
[[nodiscard]] std::string to_text(const Report& report);

}  // namespace truekeel::verify
