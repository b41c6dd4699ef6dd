// SPDX-License-Identifier: Apache-2.0
#include "fleet/context_class.h"

#include <algorithm>

#include "base/assert.h"

namespace truekeel::fleet {
namespace {

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  return a > TokenRange::kUnbounded - b ? TokenRange::kUnbounded : a + b;
}

/// The first class whose window holds `needed` tokens; classes.size() when none does.
std::size_t first_that_holds(std::span<const ContextClass> classes, std::uint64_t needed) {
  const auto found = std::ranges::lower_bound(classes, needed, {}, &ContextClass::max_tokens);
  return static_cast<std::size_t>(found - classes.begin());
}

}  // namespace

ClassOutcome choose_class(std::span<const ContextClass> classes, TokenRange prompt,
                          std::uint64_t max_output) {
  TK_ASSERT(!classes.empty() && prompt.lower <= prompt.upper);
  const std::uint64_t needed = add(prompt.lower, max_output);
  const std::size_t smallest = first_that_holds(classes, needed);
  if (smallest == classes.size()) return NothingFits{needed, classes.back().max_tokens};
  const std::size_t largest = first_that_holds(classes, add(prompt.upper, max_output));
  if (smallest == largest) return ClassChosen{smallest};
  // The highest boundary that is still open: at or below it a whole count decides, above it the fact
  // that it is passed does.
  return CountNeeded{classes[largest - 1].max_tokens - max_output};
}

ClassOutcome choose_class_uncounted(std::span<const ContextClass> classes, TokenRange prompt,
                                    std::uint64_t max_output) {
  const ClassOutcome outcome = choose_class(classes, prompt, max_output);
  if (!std::holds_alternative<CountNeeded>(outcome)) return outcome;
  const std::size_t holds = first_that_holds(classes, add(prompt.upper, max_output));
  return ClassChosen{std::min(holds, classes.size() - 1)};
}

const char* to_string(CountedBy counted) {
  switch (counted) {
    case CountedBy::bound:
      return "bound";
    case CountedBy::exact:
      return "exact";
    case CountedBy::uncounted:
      return "uncounted";
  }
  return "";
}

ContextPlan plan_context(const ModelConfig& model, TokenRange prompt,
                         std::optional<std::uint32_t> requested_output) {
  ContextPlan plan;
  plan.model = &model;
  plan.prompt = prompt;
  plan.output = {requested_output.value_or(model.default_max_output), !requested_output};
  plan.outcome = choose_class(model.classes, prompt, plan.output.tokens);
  return plan;
}

ContextPlan with_count(ContextPlan plan, TokenCount count) {
  // A tokenizer that contradicts the bounds shows wrong traits, not a wrong count: it is believed.
  if (count.stopped) {
    plan.prompt.lower = std::max(plan.prompt.lower, count.tokens);
    plan.prompt.upper = std::max(plan.prompt.upper, plan.prompt.lower);
  } else {
    plan.prompt = TokenRange::exactly(count.tokens);
  }
  plan.counted = CountedBy::exact;
  plan.outcome = choose_class(plan.model->classes, plan.prompt, plan.output.tokens);
  TK_ASSERT(!std::holds_alternative<CountNeeded>(plan.outcome));
  return plan;
}

ContextPlan without_count(ContextPlan plan) {
  if (!std::holds_alternative<CountNeeded>(plan.outcome)) return plan;
  plan.counted = CountedBy::uncounted;
  plan.outcome = choose_class_uncounted(plan.model->classes, plan.prompt, plan.output.tokens);
  return plan;
}

std::optional<ContextPlan> plan_again(ContextPlan plan, const Config& config) {
  plan.model = config.find_model(plan.model->name);
  if (plan.model == nullptr) return std::nullopt;
  if (plan.output.added) plan.output.tokens = plan.model->default_max_output;
  plan.outcome = choose_class(plan.model->classes, plan.prompt, plan.output.tokens);
  return without_count(plan);
}

}  // namespace truekeel::fleet
