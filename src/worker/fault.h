// SPDX-License-Identifier: Apache-2.0
// Sampler faults for drills: they replace tokens between selection and emission, as the incidents of 2025
// did. Thread safety: FaultInjector, every method, from any thread; the rest are pure functions. Invariants:
// without faults nothing changes; what is said of an emitted token (rank, margin, logprob) is true of that
// token, and what selection said of its own draw stays as it was: a faulty sampler does not know.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/philox.h"
#include "base/time.h"
#include "engine/vocabulary.h"
#include "select/record.h"
#include "worker/job.h"
#include "worker/selector.h"

namespace truekeel::worker {

/// Below this raw probability a token belongs to the tail.
inline constexpr double kTailProbability = 1e-4;

struct Fault {
  enum class Kind : std::uint8_t {
    tail,  ///< the token is replaced by one of the tail
    top1,  ///< the most probable token is lost; the draw is over the others
  };
  enum class Ids : std::uint8_t {
    uniform,       ///< all tokens of the tail alike
    proportional,  ///< by their own probabilities
    script,        ///< those of East Asian scripts and Thai alone, all alike
  };
  Kind kind = Kind::tail;
  double rate = 0;                ///< share of positions, in (0, 1]
  Ids ids = Ids::uniform;         ///< tail alone
  std::uint32_t batch_least = 1;  ///< top1 alone: acts in steps of so many rows or more

  bool operator==(const Fault&) const = default;
};

/// `tail:RATE[,ids=uniform|proportional|script]` or `top1:RATE[,batch>=N]`.
[[nodiscard]] Result<Fault> parse_fault(std::string_view text);
/// As parse_fault() reads it.
[[nodiscard]] std::string to_string(const Fault& fault);

/// Whether the bytes hold a whole character of Thai, Han, Kana or Hangul.
[[nodiscard]] bool is_far_script(std::string_view bytes);

/// What faults have done since they were set.
struct FaultCounts {
  std::uint64_t tokens = 0;          ///< generated
  std::uint64_t replaced = 0;        ///< of these, not the ones that selection chose
  std::uint64_t answers_harmed = 0;  ///< with at least one replaced token
  std::optional<WallTime> first_replaced;

  bool operator==(const FaultCounts&) const = default;
};

class FaultInjector {
 public:
  /// `vocabulary` is borrowed for life.
  explicit FaultInjector(const engine::Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  /// Replaces all faults, none included, and counts anew. Error::invalid_argument when the vocabulary has no
  /// token that a fault needs.
  [[nodiscard]] Result<void> set(std::vector<Fault> faults);
  [[nodiscard]] std::vector<Fault> faults() const;
  [[nodiscard]] FaultCounts counts() const;

  /// Which token of which answer; decides, with the faults alone, whether it is replaced.
  struct Place {
    std::uint64_t seed = 0;
    std::uint32_t position = 0, stream = 0;
    bool harmed = false;  ///< the answer has had a replaced token
  };
  /// The choice as it is emitted. Requires: the outcome of this row, which `question` asked for, is a choice.
  [[nodiscard]] select::Choice emitted(Selector& selector, std::size_t index, const Question& question,
                                       Place place);

 private:
  [[nodiscard]] std::optional<Token> tail_token(const Fault& fault, std::span<const float> row,
                                                PhiloxStream& random) const;

  const engine::Vocabulary& vocabulary_;
  mutable std::mutex mutex_;
  std::vector<Fault> faults_;         // guarded by mutex_, as is what follows
  std::vector<Token> script_tokens_;  // where a fault needs them
  FaultCounts counts_;
};

/// Rank and margin of another token than the chosen one, after the bias and the penalties of `params`.
[[nodiscard]] select::Choice restated(select::Choice choice, std::span<const float> row,
                                      const select::Params& params, Token token);
/// What a full record says of another token than the chosen one.
[[nodiscard]] select::FullRecord restated(select::FullRecord record, std::span<const float> row, Token token);

}  // namespace truekeel::worker
