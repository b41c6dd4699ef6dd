// SPDX-License-Identifier: Apache-2.0
// The law of every bet, by exact enumeration: an independent sampler in double precision says what each
// token's probability is, and the mean of every ratio over all tokens must not exceed 1.
#include "evidence/token_audit.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "base/philox.h"
#include "evidence/calibration.h"
#include "evidence/synthetic_rows.h"

namespace truekeel::evidence {
namespace {

using Law = std::vector<double>;
using Ratios = std::array<double, kAlternatives>;

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

  [[nodiscard]] std::string describe() const {
    std::string order_text;
    for (const Step step : conduct.order) order_text += std::to_string(std::to_underlying(step));
    return fmt::format(
        "T {} k {} p {} min_p {} filters known {}, order {} kind {} keeps ties {}, {} of {} listed, full {}",
        *sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p, sampling.filters_known,
        order_text, std::to_underlying(conduct.logprobs), conduct.keeps_ties, top.size(), raw.size(),
        full_record);
  }

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
      ASSERT_LE(worst, 1 + 1e-5) << name(static_cast<Alternative>(j)) << ": " << c.describe() << ", case "
                                 << i;
    }
  }
  // A bet whose mean is never near 1 is no bet: the bounds must not be empty. An impossible token has no
  // mean.
  for (std::size_t j = 0; j < std::to_underlying(Alternative::impossible); ++j)
    EXPECT_GT(largest[j], 0.9) << name(static_cast<Alternative>(j));
  EXPECT_EQ(largest[std::to_underlying(Alternative::impossible)], 0) << "a clean token was called impossible";
}

double ratio(Alternative alternative, const TokenRecord& record, const Sampling& sampling,
             const Conduct& conduct = {}) {
  return ratios(record, sampling, conduct, {})[std::to_underlying(alternative)];
}

const std::vector<float> kTop = {std::log(0.6f), std::log(0.25f), std::log(0.1f)};

TEST(TokenAudit, GreedyTokensOffTheTopAreFlagsAndTiesAreNot) {
  const Sampling greedy{.temperature = 0, .vocabulary = 1000};
  const TokenRecord best{.top = kTop, .logprob = kTop[0], .rank = 0};
  const TokenRecord second{.top = kTop, .logprob = kTop[1], .rank = 1};
  for (const Alternative flag : {Alternative::impossible, Alternative::top1_excluded}) {
    EXPECT_EQ(ratio(flag, best, greedy), 0);
    EXPECT_NEAR(ratio(flag, second, greedy), 1e5, 1);
  }
  EXPECT_EQ(ratio(Alternative::tail_3, second, greedy), 0) << "off the top, but not from the tail";
  const AuditTolerances wide{.tie_width = 1};
  EXPECT_EQ(ratios(second, greedy, {}, wide)[std::to_underlying(Alternative::impossible)], 0);
  // Drawn at temperature 1 for a declared 0: mean 1 when every token is the best, or rho of them are not.
  const double hit = ratio(Alternative::hotter, second, greedy),
               miss = ratio(Alternative::hotter, best, greedy);
  EXPECT_LE((1 - 1e-5) * miss + 1e-5 * hit, 1 + 1e-6);
  EXPECT_GT(hit, 1e4);
}

TEST(TokenAudit, TheKnownSeedAndTheMaskAreChecked) {
  const Sampling sampling{.vocabulary = 1000};
  TokenRecord record{.top = kTop, .logprob = kTop[0], .rank = 0};
  EXPECT_EQ(ratio(Alternative::wrong_seed, record, sampling), kNeutral);
  record.draw = DrawCheck::matches;
  EXPECT_EQ(ratio(Alternative::wrong_seed, record, sampling), 0);
  record.draw = DrawCheck::differs;
  EXPECT_NEAR(ratio(Alternative::wrong_seed, record, sampling), 1e5, 1);
  EXPECT_EQ(ratio(Alternative::impossible, record, sampling), 0);
  record.forbidden = true;
  EXPECT_NEAR(ratio(Alternative::impossible, record, sampling), 1e5, 1);
}

TEST(TokenAudit, TheOrderOfStepsDecidesWhatIsImpossible) {
  // At temperature .5 the best token alone holds .83; before it, the top two are needed for .8.
  const Sampling sampling{.temperature = 0.5, .top_p = 0.8, .vocabulary = 1000};
  const TokenRecord second{.top = kTop, .logprob = kTop[1], .rank = 1};
  Conduct filters_first;
  filters_first.order = {Step::top_k, Step::top_p, Step::min_p, Step::temperature};
  EXPECT_EQ(ratio(Alternative::impossible, second, sampling, filters_first), 0);
  EXPECT_GT(ratio(Alternative::impossible, second, sampling), 0);
}

TEST(TokenAudit, WithoutATemperatureNothingIsSaid) {
  const Sampling unknown{.temperature = std::nullopt, .vocabulary = 1000};
  for (const double r : ratios({.top = kTop, .logprob = -20}, unknown, {}, {})) EXPECT_EQ(r, kNeutral);
}

TEST(TokenAudit, TheExactMassMakesATailTokenWorthMore) {
  const Sampling sampling{.vocabulary = 50'000};
  TokenRecord record{.top = kTop, .logprob = std::log(2e-6f)};
  const double partial = ratio(Alternative::tail_4, record, sampling);
  record.has_mass = true;
  record.mass_below = {0.02f, 0.004f, 0.001f};
  EXPECT_NEAR(partial, 1 / 0.05, 0.1);
  EXPECT_NEAR(ratio(Alternative::tail_4, record, sampling), 1 / 0.004, 1);
  EXPECT_GT(ratio(Alternative::uniform, record, sampling), 9);
}

TEST(TokenAudit, GreedyAndSeedBetsHaveAMeanOfAtMostOneAtTheToleratedRate) {
  PhiloxStream random(17);
  const AuditTolerances tolerances;
  for (int i = 0; i < 2000; ++i) {
    const SyntheticRow row = synthetic_row(random, 300);
    const Sampling greedy{.temperature = 0, .vocabulary = 300};
    const auto best = ratios(row.record(0, 20, false), greedy, {}, tolerances);
    Ratios worst{};
    for (std::size_t token = 1; token < 300; token += 7) {
      const auto off = ratios(row.record(token, 20, false), greedy, {}, tolerances);
      for (std::size_t j = 0; j < kAlternatives; ++j) worst[j] = std::max(worst[j], off[j]);
    }
    for (std::size_t j = 0; j < kAlternatives; ++j)
      ASSERT_LE((1 - tolerances.rho) * best[j] + tolerances.rho * worst[j], 1 + 1e-9)
          << name(static_cast<Alternative>(j));
  }
  const Sampling sampling{.vocabulary = 1000};
  TokenRecord record{.top = kTop, .logprob = kTop[0], .rank = 0};
  record.draw = DrawCheck::matches;
  const double fits = ratio(Alternative::wrong_seed, record, sampling);
  record.draw = DrawCheck::differs;
  const double differs = ratio(Alternative::wrong_seed, record, sampling);
  EXPECT_LE((1 - tolerances.rho) * fits + tolerances.rho * differs, 1 + 1e-9);
}

/// Nats a token that the bet gains at rate .3 when every token is drawn from `truth`.
double gain(Alternative alternative, const Sampling& declared, const Sampling& served, Fault fault) {
  constexpr std::uint64_t kSeed = 23;
  PhiloxStream random(kSeed);
  constexpr int kTokens = 4000;
  double sum = 0;
  for (int i = 0; i < kTokens; ++i) {
    const SyntheticRow row = synthetic_row(random, 400);
    const std::size_t token = DrawLaw(row, served, {}).draw(fault, random);
    sum += std::log(0.7 + 0.3 * ratio(alternative, row.record(token, 20, false), declared));
  }
  return sum / kTokens;
}

TEST(TokenAudit, EachBetGrowsUnderItsFaultAndShrinksWithoutOne) {
  const Sampling plain{.temperature = 1, .vocabulary = 400}, cool{.temperature = 0.7, .vocabulary = 400};
  using enum Alternative;
  EXPECT_GT(gain(tail_4, plain, plain, Fault::tail_uniform), 1);
  EXPECT_GT(gain(uniform, plain, plain, Fault::tail_uniform), 1);
  EXPECT_GT(gain(top1_excluded, plain, plain, Fault::top1_excluded), 0.05);
  EXPECT_GT(gain(hotter, cool, plain, Fault::none), 0.005);
  EXPECT_GT(gain(colder, plain, cool, Fault::none), 0.005);
  for (const Alternative each : {tail_4, uniform, top1_excluded, hotter, colder})
    EXPECT_LT(gain(each, plain, plain, Fault::none), 0) << name(each);
}

TEST(Excluded, IsSaidOnlyWhereTheRowShowsIt) {
  const std::vector<float> top = {-0.5f, -1.5f, -3.0f};
  TokenRecord record{.top = top, .logprob = -3.0f, .rank = 2};
  const Conduct conduct = shipped("llama.cpp")->conduct;
  const Sampling open{.temperature = 1, .vocabulary = 100},
      two{.temperature = 1, .top_k = 2, .vocabulary = 100}, greedy{.temperature = 0, .vocabulary = 100};
  EXPECT_EQ(excluded(record, open, conduct, {}), std::nullopt) << "any token can be drawn";
  EXPECT_EQ(excluded(record, two, conduct, {}), true);
  EXPECT_EQ(excluded(record, greedy, conduct, {}), true);
  record.logprob = top[0];
  record.rank = 0;
  EXPECT_EQ(excluded(record, open, conduct, {}), std::nullopt);
  EXPECT_EQ(excluded(record, two, conduct, {}), false);
  EXPECT_EQ(excluded(record, greedy, conduct, {}), false);
}

}  // namespace
}  // namespace truekeel::evidence
