// SPDX-License-Identifier: Apache-2.0
#include "sentinel/invariants.h"

#include <algorithm>
#include <utility>

namespace truekeel::sentinel {
namespace {

Verdict kept_if(bool condition) { return condition ? Verdict::kept : Verdict::violated; }

bool is_known_reason(std::string_view reason) {
  constexpr std::array<std::string_view, 6> kKnown = {"stop",           "length",        "tool_calls",
                                                      "content_filter", "function_call", "abort"};
  return std::ranges::find(kKnown, reason) != kKnown.end();
}

/// Tested by us on real servers: our worker and llama-server 0.5.0 end to end (tests/e2e/test_audit.py); of
/// vLLM 0.32.0 what its sampled answers showed.
bool is_proven(EngineKind engine, Invariant invariant) {
  switch (engine) {
    case EngineKind::truekeel:
      return true;
    case EngineKind::llama_cpp:
      return invariant == Invariant::id_in_vocabulary || invariant == Invariant::fingerprint ||
             invariant == Invariant::usage_adds_up;
    case EngineKind::vllm:
      return invariant == Invariant::records_complete || invariant == Invariant::fingerprint;
    case EngineKind::sglang:
    case EngineKind::openai:
      return false;
  }
  return false;
}

/// An answer that names no reason, or "length" below every limit, was cut by something else.
Verdict judge_reason(const Admission& about, const AnswerEnd& end) {
  if (end.finish_reason.empty()) return Verdict::violated;
  if (end.finish_reason != "length") return kept_if(is_known_reason(end.finish_reason));
  if (!end.usage) return Verdict::unknown;
  const auto& usage = *end.usage;
  return kept_if(usage.completion_tokens >= about.output_most ||
                 usage.prompt_tokens + usage.completion_tokens >= about.window);
}

}  // namespace

std::string_view name(Invariant invariant) {
  constexpr std::array<std::string_view, kInvariants> kNames = {
      "id_in_vocabulary", "records_complete", "prompt_counted", "window",
      "fingerprint",      "usage_adds_up",    "finish_reason"};
  return kNames[std::to_underlying(invariant)];
}

Verdicts judge(const Admission& about, const AnswerEnd& end, const RecordsSaid& said,
               const protocol::Dialect& dialect) {
  Verdicts verdicts{};
  const auto set = [&](Invariant invariant, Verdict verdict) {
    verdicts[std::to_underlying(invariant)] = verdict;
  };
  if (said.has_ids) set(Invariant::id_in_vocabulary, kept_if(said.id_most < about.sampling.vocabulary));
  if (end.how != AnswerEnd::How::complete) return verdicts;
  set(Invariant::finish_reason, judge_reason(about, end));
  if (!end.usage) return verdicts;
  const auto& usage = *end.usage;
  const std::uint64_t total = usage.prompt_tokens + usage.completion_tokens;
  if (dialect.missing == protocol::MissingRecords::none && said.all_arrived)
    set(Invariant::records_complete, kept_if(said.records == usage.completion_tokens));
  set(Invariant::prompt_counted,
      kept_if(usage.prompt_tokens >= about.prompt.lower && usage.prompt_tokens <= about.prompt.upper));
  set(Invariant::window, kept_if(total <= about.window));
  set(Invariant::usage_adds_up,
      kept_if(usage.total_tokens.value_or(total) == total && usage.completion_tokens <= about.output_most));
  return verdicts;
}

InvariantBook::Standing InvariantBook::standing(EngineKind engine, Invariant invariant) const {
  const auto found = standings_.find(engine);
  Standing standing = found == standings_.end() ? Standing{} : found->second[std::to_underlying(invariant)];
  standing.proven = is_proven(engine, invariant);
  return standing;
}

std::array<double, kInvariants> InvariantBook::ratios(EngineKind engine, const Verdicts& verdicts) {
  std::array<double, kInvariants> ratios{};
  auto& standings = standings_[engine];
  for (std::size_t i = 0; i < kInvariants; ++i) {
    const bool armed = standing(engine, static_cast<Invariant>(i)).armed();
    const bool violated = verdicts[i] == Verdict::violated;
    // Whether an answer shows anything of an invariant may depend on its tokens: silence counts as no
    // violation, never as no item.
    ratios[i] = !armed ? evidence::kNeutral : violated ? 1 / kInvariantRate : 0;
    standings[i].violated += violated;
    standings[i].kept += verdicts[i] == Verdict::kept;
  }
  return ratios;
}

std::array<double, kInvariants> InvariantBook::lost(EngineKind engine) const {
  std::array<double, kInvariants> ratios{};
  for (std::size_t i = 0; i < kInvariants; ++i)
    ratios[i] = standing(engine, static_cast<Invariant>(i)).armed() ? 0 : evidence::kNeutral;
  return ratios;
}

void InvariantBook::remember(EngineKind engine, Invariant invariant, std::uint64_t kept,
                             std::uint64_t violated) {
  Standing& standing = standings_[engine][std::to_underlying(invariant)];
  standing.kept += kept;
  standing.violated += violated;
}

Verdict InvariantBook::check_fingerprint(fleet::EndpointId endpoint, std::string_view stated) {
  if (stated.empty()) return Verdict::unknown;
  Fingerprints& known = fingerprints_[endpoint];
  known.last = stated;
  if (known.approved.empty()) known.approved = stated;
  return kept_if(known.approved == stated);
}

bool InvariantBook::approve(fleet::EndpointId endpoint) {
  const auto found = fingerprints_.find(endpoint);
  if (found == fingerprints_.end()) return false;
  found->second.approved = found->second.last;
  return true;
}

std::string InvariantBook::approved(fleet::EndpointId endpoint) const {
  const auto found = fingerprints_.find(endpoint);
  return found == fingerprints_.end() ? "" : found->second.approved;
}

std::string InvariantBook::stated(fleet::EndpointId endpoint) const {
  const auto found = fingerprints_.find(endpoint);
  return found == fingerprints_.end() ? "" : found->second.last;
}

}  // namespace truekeel::sentinel
