// SPDX-License-Identifier: Apache-2.0
// Whether the tokens of whole answers were drawn from the distributions that came with them, and whether the
// answers say of themselves what must hold. The gateway's own bets (evidence/token_audit.h) and invariants
// (sentinel/invariants.h), here as a test that may object once. Thread safety: serves one thread.
//
// Law: where the null of docs/evidence.md, section 3, holds, the chance of ever objecting is at most `error`.
// Requires: answers enter in the order in which they were asked for, those that never came as lost.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evidence/calibration.h"
#include "evidence/gate.h"
#include "evidence/token_audit.h"
#include "sentinel/coverage.h"
#include "sentinel/invariants.h"
#include "sentinel/token_evidence.h"
#include "verify/capabilities.h"

namespace truekeel::verify {

/// What is asked of the sampler, and what is known of its filters then.
struct Recipe {
  std::string name;
  double temperature = 1, top_p = 1;

  [[nodiscard]] evidence::Sampling sampling(EngineKind engine) const;
};
/// Those whose effect is known under this engine's conduct.
[[nodiscard]] std::vector<Recipe> recipes(EngineKind engine);

/// What the engine's logprobs are taken to mean. An engine that nothing gives away gets bets that hold
/// whatever they mean, at temperature 1 and 0.
[[nodiscard]] evidence::ShippedDialect conduct_of(EngineKind engine);

struct AuditCounts {
  std::uint64_t answers = 0, lost_answers = 0;
  std::uint64_t tokens = 0, lost_tokens = 0;
};

class SamplerAudit {
 public:
  SamplerAudit(EngineKind engine, double error);

  /// One whole answer as it came. False, and entered as lost, when it is none.
  bool add(std::string_view body, const Recipe& recipe, std::uint64_t output_most);
  /// An answer that was asked for and never came.
  void lose(std::uint64_t output_most);

  [[nodiscard]] bool objects() const { return tokens_gate_.rejected() || invariant_gate_.rejected(); }
  [[nodiscard]] bool sampler_objects() const { return tokens_gate_.rejected(); }
  [[nodiscard]] const AuditCounts& counts() const { return counts_; }

  /// The alternative that explains the tokens best, and the rate at which.
  struct Lead {
    evidence::Alternative alternative;
    double rate = 0;
  };
  [[nodiscard]] Lead lead() const;
  [[nodiscard]] double log_e() const { return tokens_gate_.log_e(); }
  [[nodiscard]] double log_threshold() const { return tokens_gate_.log_threshold(); }

  struct Standing {
    sentinel::Invariant invariant;
    std::uint64_t kept = 0, violated = 0;
    bool counts = false;  ///< tested for this engine: a violation is evidence
  };
  [[nodiscard]] std::vector<Standing> invariants() const;

  /// The smallest of sentinel::kForecastRates at which a lost best token, and at which an overfull tail,
  /// would have been found by now; nothing where none would.
  [[nodiscard]] std::optional<double> found_tail() const { return found(speed_.tail()); }
  [[nodiscard]] std::optional<double> found_top1() const { return found(speed_.top1_excluded()); }
  /// Both would have been found at the largest of those rates, with some room: more tokens tell little more.
  [[nodiscard]] bool is_enough() const;

 private:
  [[nodiscard]] std::optional<double> found(const std::optional<sentinel::Growth>& growth) const;
  void enter(std::span<const float> sums);
  void judge(const protocol::ResponseFacts& facts, const sentinel::RecordsSaid& said,
             std::uint64_t output_most);

  const EngineKind engine_;
  const evidence::ShippedDialect dialect_;
  sentinel::TokenEvidence evidence_;
  sentinel::InvariantBook book_;
  evidence::RatioBets invariant_bets_;
  evidence::Gate tokens_gate_, invariant_gate_;
  std::vector<double> cells_;  ///< log factors of all tokens, for the lead
  sentinel::GrowthMeter speed_;
  AuditCounts counts_;
};

}  // namespace truekeel::verify
