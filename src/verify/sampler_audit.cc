// SPDX-License-Identifier: Apache-2.0
#include "verify/sampler_audit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "protocol/dialect.h"
#include "sentinel/plan.h"

namespace truekeel::verify {
namespace {

/// Of the error, the share that the tokens may spend; the invariants have the rest.
constexpr double kTokensShare = 0.9;

/// Tokens of an answer that its server need not speak of at all: the end, or a few within the last character.
constexpr std::uint64_t kHiddenMost = 4;

}  // namespace

evidence::Sampling Recipe::sampling(EngineKind engine) const {
  return {.temperature = temperature,
          .filters_known = protocol::dialect(engine).top_k_and_min_p,
          .top_k = 0,
          .top_p = top_p,
          .min_p = 0,
          .vocabulary = sentinel::kVocabularyMost};
}

std::vector<Recipe> recipes(EngineKind engine) {
  const Recipe plain{"temperature 1", 1, 1}, greedy{"temperature 0", 0, 1},
      usual{"temperature 0.7, top_p 0.9", 0.7, 0.9};
  if (!protocol::dialect(engine).top_k_and_min_p) return {plain, greedy};
  return {usual, plain, usual, greedy};
}

evidence::ShippedDialect conduct_of(EngineKind engine) {
  if (const auto known = evidence::shipped(to_string(engine))) return *known;
  // Raw, tempered or drawn is the same thing at temperature 1 without filters; what filters the server adds
  // by itself is unknown, and then only bets that filters cannot favour are made. The tolerances are the
  // widest.
  evidence::ShippedDialect widest = *evidence::shipped("sglang");
  widest.name = "openai";
  widest.conduct = {};
  return widest;
}

SamplerAudit::SamplerAudit(EngineKind engine, double error)
    : engine_(engine),
      dialect_(conduct_of(engine)),
      invariant_bets_(sentinel::kInvariants),
      tokens_gate_(evidence_.audit().bets().log_weights(), error * kTokensShare),
      invariant_gate_(invariant_bets_.log_weights(), error * (1 - kTokensShare)),
      cells_(evidence_.audit().bets().cells(), 0.0) {}

void SamplerAudit::enter(std::span<const float> sums) {
  tokens_gate_.update(sums);
  for (std::size_t i = 0; i < cells_.size(); ++i) cells_[i] += static_cast<double>(sums[i]);
}

void SamplerAudit::lose(std::uint64_t output_most) {
  std::vector<float> sums(cells_.size(), 0.0f);
  evidence_.audit().add_lost(output_most, sums);
  enter(sums);
  ++counts_.lost_answers;
  counts_.lost_tokens += output_most;
}

bool SamplerAudit::add(std::string_view body, const Recipe& recipe, std::uint64_t output_most) {
  protocol::ResponseReader reader;
  const auto facts = reader.read(body);
  if (!facts || facts->choices == 0) {
    lose(output_most);
    return false;
  }
  const auto value_of = [&](protocol::RecordsAt::Kind kind) {
    for (const auto& at : facts->records)
      if (at.kind == kind && at.choice == 0) return at.value.of(body);
    return std::string_view();
  };
  const evidence::Sampling sampling = recipe.sampling(engine_);
  std::vector<float> sums(cells_.size(), 0.0f);
  const auto seen =
      evidence_.add(value_of(protocol::RecordsAt::Kind::logprobs), value_of(protocol::RecordsAt::Kind::audit),
                    {dialect_, sampling, dialect_.audit(), facts->seed}, sums, speed_);
  const std::uint64_t records = seen ? seen->tokens : 0;
  const auto drawn = facts->predicted ? facts->predicted
                     : facts->usage   ? std::optional(facts->usage->completion_tokens)
                                      : std::nullopt;
  const bool hides = protocol::dialect(engine_).missing != protocol::MissingRecords::none;
  std::uint64_t missing = hides ? kHiddenMost : 0;
  if (drawn)
    missing = *drawn - std::min(*drawn, records);
  else if (records == 0)
    missing = output_most;
  // A server that states absurd numbers shall not keep us busy.
  const std::uint64_t lost = std::min(missing, output_most);
  evidence_.audit().add_lost(lost, sums);
  enter(sums);
  ++counts_.answers;
  counts_.tokens += records;
  counts_.lost_tokens += lost;
  judge(*facts,
        {.records = records,
         .id_most = seen ? seen->id_most : 0,
         .has_ids = seen && seen->id_most > 0,
         .all_arrived = seen.has_value()},
        output_most);
  return true;
}

void SamplerAudit::judge(const protocol::ResponseFacts& facts, const sentinel::RecordsSaid& said,
                         std::uint64_t output_most) {
  constexpr auto kUnbounded = std::numeric_limits<std::uint32_t>::max();
  sentinel::Admission about;
  about.window = kUnbounded;
  about.prompt = {.lower = 0, .upper = kUnbounded};
  about.output_most = output_most;
  about.sampling.vocabulary = sentinel::kVocabularyMost;
  const sentinel::AnswerEnd end{.how = sentinel::AnswerEnd::How::complete,
                                .usage = facts.usage,
                                .drawn = facts.predicted,
                                .finish_reason = std::string(facts.finish_reason),
                                .fingerprint = std::string(facts.system_fingerprint)};
  auto verdicts = sentinel::judge(about, end, said, protocol::dialect(engine_));
  // What was sent is not bounded here.
  for (const auto unknown : {sentinel::Invariant::prompt_counted, sentinel::Invariant::window})
    verdicts[std::to_underlying(unknown)] = sentinel::Verdict::unknown;
  verdicts[std::to_underlying(sentinel::Invariant::fingerprint)] =
      book_.check_fingerprint(0, end.fingerprint);
  const auto ratios = book_.ratios(engine_, verdicts);
  std::vector<float> sums(invariant_bets_.cells(), 0.0f);
  invariant_bets_.add(ratios, sums);
  invariant_gate_.update(sums);
}

SamplerAudit::Lead SamplerAudit::lead() const {
  const auto best = static_cast<std::size_t>(std::ranges::max_element(cells_) - cells_.begin());
  const auto& bets = evidence_.audit().bets();
  return {static_cast<evidence::Alternative>(bets.alternative_of(best)), bets.rate_of(best)};
}

std::vector<SamplerAudit::Standing> SamplerAudit::invariants() const {
  std::vector<Standing> result;
  for (std::size_t i = 0; i < sentinel::kInvariants; ++i) {
    const auto invariant = static_cast<sentinel::Invariant>(i);
    const auto standing = book_.standing(engine_, invariant);
    if (standing.kept + standing.violated > 0)
      result.push_back({invariant, standing.kept, standing.violated, standing.armed()});
  }
  return result;
}

std::optional<double> SamplerAudit::found(const std::optional<sentinel::Growth>& growth) const {
  if (!growth) return std::nullopt;
  const double needed = log_threshold() + std::log(static_cast<double>(cells_.size()));
  for (std::size_t i = 0; i < growth->size(); ++i)
    if ((*growth)[i] * static_cast<double>(counts_.tokens) >= needed) return sentinel::kForecastRates[i];
  return std::nullopt;
}

bool SamplerAudit::is_enough() const {
  const auto tail = speed_.tail(), top1 = speed_.top1_excluded();
  if (!tail || !top1) return false;
  constexpr double kRoom = 2;
  const double needed = kRoom * (log_threshold() + std::log(static_cast<double>(cells_.size())));
  return std::min(tail->back(), top1->back()) * static_cast<double>(counts_.tokens) >= needed;
}

}  // namespace truekeel::verify
