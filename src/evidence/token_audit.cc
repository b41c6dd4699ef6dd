// SPDX-License-Identifier: Apache-2.0
#include "evidence/token_audit.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/assert.h"

namespace truekeel::evidence {
namespace {

using Ratios = std::array<double, kAlternatives>;

constexpr std::array<double, 3> kTails = {1e-3, 1e-4, 1e-5};

double& at(Ratios& ratios, Alternative alternative) { return ratios[std::to_underlying(alternative)]; }

/// w^0.75 and w^1.5: temperatures a third higher and a third lower, for two square roots.
double hotter(double weight) { return std::sqrt(weight) * std::sqrt(std::sqrt(weight)); }
double colder(double weight) { return weight * std::sqrt(weight); }

bool off_the_top(const TokenRecord& record, const AuditTolerances& tolerances) {
  const double margin = static_cast<double>(record.top[0]) - static_cast<double>(record.logprob);
  return margin > tolerances.tie_width || record.forbidden;
}

/// Greedy decoding: a token off the top, beyond ties, is a flag that the null shows at most at rate rho.
Ratios greedy_ratios(const TokenRecord& record, const Sampling& sampling, const AuditTolerances& tolerances) {
  const bool flag = off_the_top(record, tolerances);
  const double flagged = flag ? 1 / tolerances.rho : 0;
  const double probability = std::exp(static_cast<double>(record.logprob));
  const double best = std::min(1.0, std::exp(static_cast<double>(record.top[0])));
  Ratios ratios;
  ratios.fill(flagged);
  for (std::size_t i = 0; i < kTails.size(); ++i)
    if (probability >= kTails[i]) ratios[i] = 0;
  at(ratios, Alternative::uniform) = flagged * (1 - 1.0 / sampling.vocabulary);
  // Drawn at temperature 1 instead: the best with its own probability, any other with the rest.
  at(ratios, Alternative::hotter) = flag ? flagged * (1 - best) : best;
  at(ratios, Alternative::colder) = kNeutral;
  return ratios;
}

/// The probability under the null that the token is not among the first `count`, at most.
double outside(const DrawNull& null, std::size_t count) {
  if (count >= null.most && null.rest_most <= 0) return 0;
  return std::max(0.0, 1 - null.prefix[std::min(count, null.most)] / null.total_most());
}

/// The bound on the null probability of a token whose reported probability is below kTails[i], from the
/// mass that the full record gives; 1 without it.
double outside_by_mass(const DrawNull& null, const TokenRecord& record, const Sampling& sampling,
                       const Conduct& conduct, std::size_t i) {
  if (!record.has_mass || conduct.logprobs == LogprobKind::drawn) return 1;
  const double power = conduct.logprobs == LogprobKind::raw ? 1 / *sampling.temperature : 1;
  const double mass = record.mass_below[i];
  // Sums of q^power over tokens with q < tail; the unit of a DrawNull is the best token's weight.
  const double sum = power >= 1 ? mass * std::pow(kTails[i], power - 1)
                                : std::pow(sampling.vocabulary, 1 - power) * std::pow(mass, power);
  return std::min(1.0, sum * std::exp(-power * static_cast<double>(record.top[0])) / null.total_least());
}

void add_tails(Ratios& ratios, const DrawNull& null, const TokenRecord& record, const Sampling& sampling,
               const Conduct& conduct, double rho) {
  const double probability = std::exp(static_cast<double>(record.logprob));
  for (std::size_t i = 0; i < kTails.size(); ++i) {
    ratios[i] = 0;
    if (probability >= kTails[i]) continue;
    std::size_t above = 0;  // listed tokens that are not in the tail
    while (above < null.listed && std::exp(static_cast<double>(record.top[above])) >= kTails[i]) ++above;
    const double mass = std::min(outside(null, above), outside_by_mass(null, record, sampling, conduct, i));
    ratios[i] = 1 / (mass + rho);
  }
}

/// Weights of an alternative that prefers some listed tokens to others, and treats all others as one:
/// `power` maps a weight. Scaled so that the mean is at most 1 under every distribution of the null.
template <class Power>
double tilt(const DrawNull& null, double rho, Power power) {
  if (!null.possible) return 0;
  const std::size_t n = null.listed;
  // Tokens that are not listed weigh, on a geometric mean, about a tenth of the last listed one. A better or
  // worse guess changes the power of the bet, never its fairness.
  constexpr double kTypicalRest = 0.1;
  const auto ratio_of = [&](double weight) { return weight > 0 ? power(weight) / weight : 0; };
  const double rest_ratio = ratio_of(kTypicalRest * null.weight[n - 1]);
  std::array<double, DrawNull::kListedMax + 1> mean;  // sums of weight * ratio
  mean[0] = 0;
  double largest = null.open ? rest_ratio : 0;
  for (std::size_t i = 0; i < null.most; ++i) {
    mean[i + 1] = mean[i] + power(null.weight[i]);
    largest = std::max(largest, ratio_of(null.weight[i]));
  }
  double worst = 0;
  for (std::size_t i = null.least; i <= null.most; ++i) worst = std::max(worst, mean[i] / null.prefix[i]);
  if (null.most == n) {
    for (const double rest : {null.rest_least, null.rest_most})
      worst = std::max(worst, (mean[n] + rest * rest_ratio) / (null.prefix[n] + rest));
  }
  // Beyond `most` and possible: tied with the last that can be drawn.
  const bool unlisted = null.drawn == n && null.open;
  const double drawn = unlisted ? rest_ratio : ratio_of(null.weight[std::min(null.drawn, null.most - 1)]);
  // The tolerance moves at most rho of the mass onto the largest ratio.
  return drawn / (worst + rho * largest);
}

double uniform(const DrawNull& null, const Sampling& sampling, const AuditTolerances& tolerances) {
  const double vocabulary = sampling.vocabulary;
  if (!null.possible)
    return std::max(0.0, 1 - static_cast<double>(null.drawable_most) / vocabulary) / tolerances.rho;
  const double probability = std::max(null.drawn_weight / null.total_least(), tolerances.rho / vocabulary);
  return std::exp(-tolerances.logprob_error) / (vocabulary * probability);
}

double top1_excluded(const DrawNull& null, double rho) {
  std::size_t best = 1;  // tokens that tie for the top
  while (best < null.most && null.weight[best] >= 1 - kEdgeSlack) ++best;
  if (null.drawn_weight >= 1 - kEdgeSlack) return 0;
  return 1 / (outside(null, best) + rho);
}

}  // namespace

std::string_view name(Alternative alternative) {
  constexpr std::array<std::string_view, kAlternatives> kNames = {"tail<1e-3", "tail<1e-4",     "tail<1e-5",
                                                                  "uniform",   "top1_excluded", "hotter",
                                                                  "colder",    "impossible",    "wrong_seed"};
  return kNames[std::to_underlying(alternative)];
}

Ratios ratios(const TokenRecord& record, const Sampling& sampling, const Conduct& conduct,
              const AuditTolerances& tolerances) {
  Ratios result;
  result.fill(kNeutral);
  if (record.draw != DrawCheck::unknown)
    at(result, Alternative::wrong_seed) = record.draw == DrawCheck::differs ? 1 / tolerances.rho : 0;
  if (!sampling.temperature) return result;
  const double seed_ratio = at(result, Alternative::wrong_seed);
  if (*sampling.temperature == 0) {
    result = greedy_ratios(record, sampling, tolerances);
    at(result, Alternative::wrong_seed) = seed_ratio;
    return result;
  }
  const DrawNull null = draw_null(record, sampling, conduct);
  const double rho = tolerances.rho;
  add_tails(result, null, record, sampling, conduct, rho);
  at(result, Alternative::uniform) = uniform(null, sampling, tolerances);
  at(result, Alternative::top1_excluded) = top1_excluded(null, rho);
  at(result, Alternative::hotter) = tilt(null, rho, hotter);
  at(result, Alternative::impossible) = null.possible ? 0 : 1 / rho;
  // With unknown filters only bets that never rise with the probability stay fair (lemma 5).
  if (sampling.filters_known) at(result, Alternative::colder) = tilt(null, rho, colder);
  return result;
}

std::optional<bool> excluded(const TokenRecord& record, const Sampling& sampling, const Conduct& conduct,
                             const AuditTolerances& tolerances) {
  if (*sampling.temperature == 0) return off_the_top(record, tolerances);
  const DrawNull null = draw_null(record, sampling, conduct);
  return null.open ? std::nullopt : std::optional(!null.possible);
}

void TokenAudit::add(const TokenRecord& record, const Sampling& sampling, const Conduct& conduct,
                     const AuditTolerances& tolerances, std::span<float> sums) const {
  bets_.add(ratios(record, sampling, conduct, tolerances), sums);
}

}  // namespace truekeel::evidence
