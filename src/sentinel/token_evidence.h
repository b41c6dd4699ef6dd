// SPDX-License-Identifier: Apache-2.0
// From the records in an answer to evidence: one factor per token and bet. Thread safety: serves one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "evidence/calibration.h"
#include "evidence/reported_row.h"
#include "evidence/token_audit.h"
#include "protocol/token_records.h"
#include "sentinel/coverage.h"

namespace truekeel::sentinel {

/// What is known of the answer that the tokens belong to.
struct TokenContext {
  const evidence::ShippedDialect& dialect;
  const evidence::Sampling& sampling;
  evidence::AuditTolerances tolerances;  ///< as calibrated before
  std::optional<std::uint64_t> seed;     ///< of the draws, where the server states it
};

struct TokensSeen {
  std::uint32_t tokens = 0;      ///< of which there was a record
  std::uint32_t unusable = 0;    ///< of those: without a distribution, and so entered at their lower bound
  std::uint32_t unfinished = 0;  ///< tokens before them that ended inside a character and left no record
  std::uint32_t id_most = 0;     ///< the largest id, where ids are stated
  /// Of the tokens that also calibrate: those that show whether the null excludes them, and those that it
  /// does.
  std::uint32_t telling = 0, excluded = 0;
};

class TokenEvidence {
 public:
  [[nodiscard]] const evidence::TokenAudit& audit() const { return audit_; }

  /// Adds the log factors of the tokens in `logprobs` and `audit`, one per bet, to `sums`, and what they tell
  /// about the speed of detection to `speed`. Error as of TokenRecordReader; `sums` is then as it was.
  [[nodiscard]] Result<TokensSeen> add(std::string_view logprobs, std::string_view audit,
                                       const TokenContext& context, std::span<float> sums,
                                       GrowthMeter& speed);

 private:
  [[nodiscard]] evidence::TokenRecord record_of(const protocol::RecordedToken& token,
                                                const TokenContext& context);

  evidence::TokenAudit audit_;
  evidence::RowReader rows_;
  protocol::TokenRecordReader reader_;
  protocol::TokenRecords records_;
};

/// Whether the numbers of a draw fit together: the point that seed and position choose lies in the token's
/// interval.
[[nodiscard]] bool draw_fits(const protocol::DrawNumbers& draw, std::uint64_t seed);

}  // namespace truekeel::sentinel
