// SPDX-License-Identifier: Apache-2.0
#include "evidence/synthetic_rows.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace truekeel::evidence {
namespace {

constexpr std::array<double, 3> kTails = {1e-3, 1e-4, 1e-5};

std::vector<double> sums(std::span<const double> weights) {
  std::vector<double> result(weights.size() + 1, 0.0);
  for (std::size_t i = 0; i < weights.size(); ++i) result[i + 1] = result[i] + weights[i];
  const double total = result.back();
  for (double& sum : result) sum /= total;
  return result;
}

void keep(std::vector<double>& weights, std::size_t count) {
  std::fill(weights.begin() + static_cast<std::ptrdiff_t>(std::min(count, weights.size())), weights.end(),
            0.0);
}

void take(Step step, const Sampling& sampling, std::vector<double>& weights) {
  const double total = [&] {
    double sum = 0;
    for (const double weight : weights) sum += weight;
    return sum;
  }();
  switch (step) {
    case Step::temperature:
      for (double& weight : weights) weight = std::pow(weight / total, 1 / sampling.temperature.value_or(1));
      return;
    case Step::top_k:
      if (sampling.top_k > 0) keep(weights, sampling.top_k);
      return;
    case Step::top_p: {
      double sum = 0;
      std::size_t count = 0;
      while (count < weights.size() && sum < sampling.top_p * total) sum += weights[count++];
      if (sampling.top_p < 1) keep(weights, count);
      return;
    }
    case Step::min_p:
      for (double& weight : weights)
        if (weight < sampling.min_p * weights[0]) weight = 0;
  }
}

}  // namespace

TokenRecord SyntheticRow::record(std::size_t token, std::size_t listed, bool full) const {
  TokenRecord result;
  result.top = std::span(logprob).first(listed);
  result.logprob = logprob[token];
  if (token < listed) result.rank = static_cast<std::uint32_t>(token);
  if (full) {
    result.rank = static_cast<std::uint32_t>(token);
    result.has_mass = true;
    result.mass_below = mass_below;
  }
  return result;
}

SyntheticRow synthetic_row(PhiloxStream& random, std::size_t vocabulary) {
  TK_ASSERT(vocabulary >= 32);
  // Mean .44; many sure rows, many open ones.
  const double best = 0.02 + 0.96 * std::pow(random.uniform(), 1.3);
  // A log-normal law of ranks below the best token: .36 of the rest beyond rank 20 on average, .02 of all
  // below 1e-4. A Zipf law of the same top would hold five times that in its far tail, which real rows do
  // not.
  const double curvature = 0.11 + 0.14 * random.uniform();
  std::vector<double> weights(vocabulary);
  double rest = 0;
  for (std::size_t i = 1; i < vocabulary; ++i) {
    const double log_rank = std::log(static_cast<double>(i + 1));
    weights[i] = std::exp(-(0.3 + curvature * log_rank) * log_rank) * (0.5 + random.uniform());
    rest += weights[i];
  }
  for (std::size_t i = 1; i < vocabulary; ++i) weights[i] *= (1 - best) / rest;
  weights[0] = best;
  std::ranges::sort(weights, std::greater<>());
  SyntheticRow row;
  std::array<double, 3> below{};
  for (const double weight : weights) {
    row.logprob.push_back(static_cast<float>(std::log(weight)));
    for (std::size_t i = 0; i < kTails.size(); ++i)
      if (weight < kTails[i]) below[i] += weight;
  }
  for (std::size_t i = 0; i < kTails.size(); ++i) row.mass_below[i] = static_cast<float>(below[i]);
  return row;
}

DrawLaw::DrawLaw(const SyntheticRow& row, const Sampling& sampling, const Conduct& conduct) {
  std::vector<double> weights;
  weights.reserve(row.logprob.size());
  for (const float logprob : row.logprob) weights.push_back(std::exp(static_cast<double>(logprob)));
  raw_ = sums(weights);
  tail_ = static_cast<std::size_t>(std::ranges::find_if(weights, [](double p) { return p < 1e-4; }) -
                                   weights.begin());
  if (sampling.temperature == 0.0) {
    keep(weights, 1);
  } else {
    for (const Step step : conduct.order) take(step, sampling, weights);
  }
  sum_ = sums(weights);
}

std::size_t DrawLaw::draw_between(double low, double high, PhiloxStream& random) const {
  const double at = low + (high - low) * random.uniform();
  const auto above = std::ranges::upper_bound(sum_, at);
  return static_cast<std::size_t>(above - sum_.begin()) - 1;
}

std::size_t DrawLaw::draw(Fault fault, PhiloxStream& random) const {
  const std::size_t vocabulary = raw_.size() - 1;
  switch (fault) {
    case Fault::none:
      return draw(random);
    case Fault::tail_uniform:
      return tail_ + random.below(vocabulary - tail_);
    case Fault::tail_proportional: {
      const double at = raw_[tail_] + (1 - raw_[tail_]) * random.uniform();
      return static_cast<std::size_t>(std::ranges::upper_bound(raw_, at) - raw_.begin()) - 1;
    }
    case Fault::top1_excluded:
      return sum_[1] < 1 ? draw_between(sum_[1], 1, random) : 1;
  }
  return 0;
}

double DrawLaw::faulty(Fault fault, std::size_t token) const {
  const std::size_t vocabulary = raw_.size() - 1;
  switch (fault) {
    case Fault::none:
      return probability(token);
    case Fault::tail_uniform:
      return token < tail_ ? 0 : 1 / static_cast<double>(vocabulary - tail_);
    case Fault::tail_proportional:
      return token < tail_ ? 0 : (raw_[token + 1] - raw_[token]) / (1 - raw_[tail_]);
    case Fault::top1_excluded:
      if (sum_[1] >= 1) return token == 1 ? 1 : 0;
      return token == 0 ? 0 : probability(token) / (1 - sum_[1]);
  }
  return 0;
}

double DrawLaw::divergence(Fault fault, double rate, double floor) const {
  double sum = 0, outside = 0;
  for (std::size_t token = 0; token + 1 < sum_.size(); ++token) {
    const double null = probability(token);
    const double mixed = (1 - rate) * null + rate * faulty(fault, token);
    if (null <= 0)
      outside += mixed;  // all impossible tokens are one event, of null probability `floor`
    else if (mixed > 0)
      sum += mixed * std::log(mixed / null);
  }
  return outside > 0 ? sum + outside * std::log(outside / floor) : sum;
}

Sampling at_temperature(Sampling sampling, double temperature) {
  sampling.temperature = temperature;
  return sampling;
}

}  // namespace truekeel::evidence
