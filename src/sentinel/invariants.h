// SPDX-License-Identifier: Apache-2.0
// What must hold of every answer, whatever was drawn. Thread safety: an InvariantBook serves one thread.
//
// An invariant is armed where we have tested that the dialect keeps it, and after 10^4 clean answers
// elsewhere; until then it stays in shadow: counted and shown, but no evidence. One that was seen violated in
// shadow stays there.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "evidence/ratio_bets.h"
#include "protocol/dialect.h"
#include "sentinel/tap.h"

namespace truekeel::sentinel {

enum class Invariant : std::uint8_t {
  id_in_vocabulary,
  records_complete,  ///< as many records as tokens are stated
  prompt_counted,    ///< the tokens of the prompt lie between our own bounds
  window,            ///< prompt and answer fit the class that the request was routed by
  fingerprint,       ///< the approved one
  usage_adds_up,     ///< the sum is right, and the answer no longer than was allowed
  finish_reason,     ///< a known one; "length" only at a limit
};
inline constexpr std::size_t kInvariants = 7;
[[nodiscard]] std::string_view name(Invariant invariant);

/// What one answer showed of one invariant.
enum class Verdict : std::uint8_t { unknown, kept, violated };
using Verdicts = std::array<Verdict, kInvariants>;

/// What the records of an answer said.
struct RecordsSaid {
  std::uint64_t records = 0;
  std::uint32_t id_most = 0;
  bool has_ids = false;
  bool all_arrived = true;  ///< nothing was dropped or unreadable on our side
};

/// Without `fingerprint`, which needs to be told what is approved.
[[nodiscard]] Verdicts judge(const Admission& about, const AnswerEnd& end, const RecordsSaid& said,
                             const protocol::Dialect& dialect);

/// Tolerated share of answers that violate an invariant, although all is well.
inline constexpr double kInvariantRate = 1e-5;
/// Clean answers after which an invariant leaves the shadow.
inline constexpr std::uint64_t kShadowAnswers = 10'000;

class InvariantBook {
 public:
  struct Standing {
    std::uint64_t kept = 0, violated = 0;
    bool proven = false;  ///< shipped as tested for this dialect
    [[nodiscard]] bool armed() const { return proven || (kept >= kShadowAnswers && violated == 0); }
  };

  /// Takes note of an answer, and says the ratio of each invariant's bet: by what was known before it.
  [[nodiscard]] std::array<double, kInvariants> ratios(EngineKind engine, const Verdicts& verdicts);
  /// The ratios of an answer that is lost.
  [[nodiscard]] std::array<double, kInvariants> lost(EngineKind engine) const;

  /// What was counted before a restart.
  void remember(EngineKind engine, Invariant invariant, std::uint64_t kept, std::uint64_t violated);

  [[nodiscard]] Standing standing(EngineKind engine, Invariant invariant) const;

  /// The first fingerprint that an endpoint states is approved; each further one is by approve() alone.
  [[nodiscard]] Verdict check_fingerprint(fleet::EndpointId endpoint, std::string_view stated);
  /// Approves what the endpoint stated last; false when it has stated nothing.
  bool approve(fleet::EndpointId endpoint);
  /// Empty: none yet.
  [[nodiscard]] std::string approved(fleet::EndpointId endpoint) const;
  /// What was stated and approved there; what its answers showed of invariants stays.
  void forget(fleet::EndpointId endpoint) { fingerprints_.erase(endpoint); }
  /// What it stated last; empty: nothing yet.
  [[nodiscard]] std::string stated(fleet::EndpointId endpoint) const;

 private:
  struct Fingerprints {
    std::string approved, last;
  };
  std::map<EngineKind, std::array<Standing, kInvariants>> standings_;
  std::map<fleet::EndpointId, Fingerprints> fingerprints_;
};

}  // namespace truekeel::sentinel
