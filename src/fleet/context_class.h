// SPDX-License-Identifier: Apache-2.0
// Which context class a request needs: the first whose window holds prompt and output. Thread safety: pure
// functions. Invariant: a class is chosen only if its window holds the upper end of what is known, or if
// it is the largest; nothing that needs more than the largest window for certain is ever accepted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "fleet/config.h"
#include "fleet/token_bounds.h"

namespace truekeel::fleet {

struct ClassChosen {
  std::size_t index = 0;  ///< into ModelConfig::classes
  bool operator==(const ClassChosen&) const = default;
};

/// The bounds do not decide. A count may stop as soon as it has passed `stop_above` tokens: one count,
/// whole or stopped, always decides.
struct CountNeeded {
  std::uint64_t stop_above = 0;
  bool operator==(const CountNeeded&) const = default;
};

struct NothingFits {
  std::uint64_t needed = 0;  ///< tokens at least, output included
  std::uint64_t largest = 0;
  bool operator==(const NothingFits&) const = default;
};

using ClassOutcome = std::variant<ClassChosen, CountNeeded, NothingFits>;

/// Requires: classes ascend, at least one. `max_output` is one choice's limit: n choices share the prompt
/// and each has a window of its own.
[[nodiscard]] ClassOutcome choose_class(std::span<const ContextClass> classes, TokenRange prompt,
                                        std::uint64_t max_output);

/// The same where no count is to be had: the class of the upper bound, and the largest class when only
/// that may fit. Never CountNeeded.
[[nodiscard]] ClassOutcome choose_class_uncounted(std::span<const ContextClass> classes, TokenRange prompt,
                                                  std::uint64_t max_output);

enum class CountedBy {
  bound,      ///< the byte bounds decided
  exact,      ///< a tokenizer counted, perhaps only past the boundary
  uncounted,  ///< the bounds left it open and no tokenizer answered: the upper bound was taken
};
[[nodiscard]] const char* to_string(CountedBy counted);

struct OutputLimit {
  std::uint32_t tokens = 0;
  bool added = false;  ///< the request states none: send `tokens` upstream as its limit

  bool operator==(const OutputLimit&) const = default;
};

/// Everything that is known of a request's length, and the class that follows. A value; `model` is
/// borrowed from the Config.
struct ContextPlan {
  const ModelConfig* model = nullptr;
  TokenRange prompt;
  CountedBy counted = CountedBy::bound;
  OutputLimit output;
  ClassOutcome outcome;
};

/// Requested output: the request's limit where it states one, else the model's default.
[[nodiscard]] ContextPlan plan_context(const ModelConfig& model, TokenRange prompt,
                                       std::optional<std::uint32_t> requested_output);

/// The plan after a count that was asked for by CountNeeded. Requires: a stopped count passed stop_above.
[[nodiscard]] ContextPlan with_count(ContextPlan plan, TokenCount count);

/// The plan when no tokenizer answered.
[[nodiscard]] ContextPlan without_count(ContextPlan plan);

/// The plan by another configuration's model of that name; nothing when it has none.
[[nodiscard]] std::optional<ContextPlan> plan_again(ContextPlan plan, const Config& config);

}  // namespace truekeel::fleet
