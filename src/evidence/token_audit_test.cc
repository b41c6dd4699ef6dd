// SPDX-License-Identifier: Apache-2.0
// The law of every bet, by exact enumeration: an independent sampler in double precision says what each
// token's probability is, and the mean of every ratio over all tokens must not exceed 1.
#include "evidence/token_audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "base/philox.h"

namespace truekeel::evidence {
namespace {

using Law = std::vector<double>;

void normalise(Law& law) {
  const double total = std::accumulate(law.begin(), law.end(), 0.0);
  for (double& p : law) p /= total;
}

/// Tokens by falling probability, then by id.
std::vector<std::size_t> order_of(const Law& law) {
  std::vector<std::size_t> order(law.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, [&](auto a, auto b) { return law[a] != law[b] ? law[a] > law[b] : a < b; });
  return order;
}

/// What an engine with this conduct draws from, step by step over the whole vocabulary.
Law drawn_law(Law law, const Sampling& sampling, const Conduct& conduct, LogprobKind until) {
  for (const Step step : conduct.order) {
    const auto order = order_of(law);
    if (step == Step::temperature) {
      for (double& p : law) p = std::pow(p, 1 / *sampling.temperature);
    } else if (until == LogprobKind::tempered) {
      continue;
    } else if (step == Step::top_k && sampling.top_k > 0 && sampling.top_k < law.size()) {
      const double last = law[order[sampling.top_k - 1]];
      for (std::size_t i = sampling.top_k; i < order.size(); ++i)
        if (!conduct.keeps_ties || law[order[i]] < last) law[order[i]] = 0;
    } else if (step == Step::top_p && sampling.top_p < 1) {
      double sum = 0;
      for (const std::size_t token : order) {
        if (sum >= sampling.top_p) law[token] = 0;
        sum += law[token];
      }
    } else if (step == Step::min_p) {
      for (double& p : law)
        if (p < sampling.min_p * law[order[0]]) p = 0;
    }
    normalise(law);
  }
  return law;
}

/// One random case: a law of the logits, parameters, and what the engine reports.
struct Case {
  Law raw, reported, drawn;
  Sampling sampling;
  Conduct conduct;
  std::vector<std::size_t> order;  // of the reported law
  std::vector<float> top;
  bool full_record = false;

  [[nodiscard]] TokenRecord record(std::size_t token) const {
    TokenRecord result;
    result.top = top;
    result.logprob = static_cast<float>(std::log(std::max(reported[token], 1e-300)));
    const auto rank = static_cast<std::size_t>(std::ranges::find(order, token) - order.begin());
    if (rank < top.size() || full_record) result.rank = static_cast<std::uint32_t>(rank);
    if (full_record) {
      result.has_mass = true;
      constexpr double kTails[] = {1e-3, 1e-4, 1e-5};
      for (int i = 0; i < 3; ++i)
        for (const double p : reported)
          if (p < kTails[i]) result.mass_below[i] += static_cast<float>(p);
      const double best = *std::ranges::max_element(drawn);
      result.kept_weight = 1 / best;
    }
    return result;
  }
};

template <class T>
T pick(PhiloxStream& random, std::initializer_list<T> choices) {
  return choices.begin()[random.below(choices.size())];
}

Case random_case(PhiloxStream& random) {
  Case c;
  const std::size_t vocabulary = 6 + random.below(35);
  const double scale = pick(random, {0.3, 1.0, 3.0, 8.0});
  const bool ties = random.below(3) == 0;
  for (std::size_t i = 0; i < vocabulary; ++i) {
    double logit = scale * (random.uniform() + random.uniform() + random.uniform() - 1.5);
    if (ties) logit = std::round(logit * 2) / 2;
    c.raw.push_back(std::exp(logit));
  }
  normalise(c.raw);
  const auto listed = 1 + random.below(vocabulary - 1);
  c.sampling = {.temperature = pick(random, {1.0, 1.0, 0.3, 0.7, 1.3, 2.0}),
                .filters_known = random.below(8) != 0,
                .top_k = pick(random, {0u, 0u, 1u, 3u, 10u, static_cast<std::uint32_t>(listed)}),
                .top_p = pick(random, {1.0, 1.0, 0.95, 0.9, 0.5}),
                .min_p = pick(random, {0.0, 0.0, 0.05, 0.3}),
                .vocabulary = static_cast<std::uint32_t>(vocabulary)};
  c.conduct.keeps_ties = random.below(2) == 0;
  for (std::size_t i = 3; i > 0; --i) std::swap(c.conduct.order[i], c.conduct.order[random.below(i + 1)]);
  c.conduct.logprobs =
      pick(random, {LogprobKind::raw, LogprobKind::raw, LogprobKind::tempered, LogprobKind::drawn});
  // Logprobs of a tempered law are only meaningful where temperature comes first.
  if (c.conduct.logprobs == LogprobKind::tempered)
    std::swap(*std::ranges::find(c.conduct.order, Step::temperature), c.conduct.order[0]);
  c.drawn = drawn_law(c.raw, c.sampling, c.conduct, LogprobKind::drawn);
  c.reported = c.conduct.logprobs == LogprobKind::raw ? c.raw
               : c.conduct.logprobs == LogprobKind::drawn
                   ? c.drawn
                   : drawn_law(c.raw, c.sampling, c.conduct, LogprobKind::tempered);
  c.order = order_of(c.reported);
  for (std::size_t i = 0; i < listed && c.reported[c.order[i]] > 0; ++i)
    c.top.push_back(static_cast<float>(std::log(c.reported[c.order[i]])));
  c.full_record = random.below(4) == 0;
  return c;
}

TEST(TokenAudit, NoRatioHasAMeanAboveOneUnderAnyDeclaredConduct) {
  constexpr std::uint64_t kSeed = 20250801;
  RecordProperty("seed", std::to_string(kSeed));
  PhiloxStream random(kSeed);
  const AuditTolerances tolerances;
  std::array<double, kAlternatives> largest{};
  for (int i = 0; i < 60'000; ++i) {
    const Case c = random_case(random);
    std::array<double, kAlternatives> mean{}, most{};
    for (std::size_t token = 0; token < c.raw.size(); ++token) {
      const auto r = ratios(c.record(token), c.sampling, c.conduct, tolerances);
      for (std::size_t j = 0; j < kAlternatives; ++j) {
        ASSERT_GE(r[j], 0);
        mean[j] += c.drawn[token] * r[j];
        most[j] = std::max(most[j], r[j]);
      }
    }
    for (std::size_t j = 0; j < kAlternatives; ++j) {
      // Also when the tolerance rho is used against us, on the token that pays most; a tenth of it is left
      // for the rounding of the logprobs to single precision.
      const bool by_token = static_cast<Alternative>(j) == Alternative::uniform;
      const double worst = by_token ? mean[j] : mean[j] + 0.9 * tolerances.rho * (most[j] - mean[j]);
      if (most[j] != kNeutral) largest[j] = std::max(largest[j], mean[j]);
      ASSERT_LE(worst, 1 + 1e-5) << name(static_cast<Alternative>(j)) << " in case " << i << " T "
                                 << *c.sampling.temperature << " k " << c.sampling.top_k << " p "
                                 << c.sampling.top_p << " min_p " << c.sampling.min_p << " listed "
                                 << c.top.size() << " of " << c.raw.size() << " kind "
                                 << std::to_underlying(c.conduct.logprobs) << " full " << c.full_record
                                 << " ties " << c.conduct.keeps_ties << " known " << c.sampling.filters_known
                                 << " order " << std::to_underlying(c.conduct.order[0])
                                 << std::to_underlying(c.conduct.order[1])
                                 << std::to_underlying(c.conduct.order[2])
                                 << std::to_underlying(c.conduct.order[3]) <<
          [&] {
            std::string t;
            auto n = draw_null(c.record(0), c.sampling, c.conduct);
            t += " least " + std::to_string(n.least) + " most " + std::to_string(n.most) + " rest " +
                 std::to_string(n.rest_least) + ".." + std::to_string(n.rest_most);
            double best = 0;
            for (double p : c.drawn) best = std::max(best, p);
            for (auto tok : c.order)
              t += " " + std::to_string(c.raw[tok]) + ":" + std::to_string(c.drawn[tok] / best);
            return t;
          }();
    }
  }
  // A bet whose mean is never near 1 is no bet: the bounds must not be empty.
  for (std::size_t j = 0; j < kAlternatives; ++j)
    EXPECT_GT(largest[j], 0.9) << name(static_cast<Alternative>(j));
}

}  // namespace
}  // namespace truekeel::evidence
