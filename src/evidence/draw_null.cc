// SPDX-License-Identifier: Apache-2.0
#include "evidence/draw_null.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace truekeel::evidence {
namespace {

/// Takes the engine's steps one after the other on weights, of which the best token's is always 1.
class Steps {
 public:
  Steps(const TokenRecord& record, const Sampling& sampling, const Conduct& conduct)
      : sampling_(sampling), keeps_ties_(conduct.keeps_ties), rank_(record.rank) {
    null_.listed = std::min(record.top.size(), DrawNull::kListedMax);
    null_.least = null_.most = null_.listed;
    const auto below_best = [&](float logprob) {
      return static_cast<double>(logprob) - static_cast<double>(record.top[0]);
    };
    for (std::size_t i = 0; i < null_.listed; ++i) {
      log_weight_[i] = below_best(record.top[i]);
      null_.weight[i] = std::exp(log_weight_[i]);
    }
    sum_up();
    rest_count_ = static_cast<double>(sampling.vocabulary) - static_cast<double>(null_.listed);
    // The reported masses add up to 1; what is not listed holds the rest.
    const double total = std::exp(-static_cast<double>(record.top[0]));
    null_.rest_least = null_.rest_most = std::max(0.0, total - null_.prefix[null_.listed]);
    null_.drawn = std::min<std::size_t>(record.rank, null_.listed);
    drawn_log_weight_ = null_.drawn < null_.listed ? log_weight_[null_.drawn] : below_best(record.logprob);
    null_.drawn_weight = std::exp(drawn_log_weight_);
  }

  void temperature() {
    const double power = 1 / *sampling_.temperature;
    if (power == 1) return;
    const double last = null_.weight[null_.listed - 1];
    // A power magnifies the rounding of a small remainder, so the remainder is widened by it first.
    const double rounding = kEdgeSlack * null_.prefix[null_.listed];
    null_.rest_least = std::max(0.0, null_.rest_least - rounding);
    if (null_.open) null_.rest_most += rounding;
    bound_rest(power, last);
    for (std::size_t i = 0; i < null_.listed; ++i) null_.weight[i] = std::exp(power * log_weight_[i]);
    null_.drawn_weight = std::exp(power * drawn_log_weight_);
    sum_up();
  }

  void top_k() {
    const std::size_t k = sampling_.top_k;
    if (k == 0) return;
    const double last = null_.weight[null_.listed - 1];
    if (k <= null_.listed) {
      std::size_t ties = k;
      while (ties < null_.listed && tied(null_.weight[ties], null_.weight[k - 1])) ++ties;
      if (ties < null_.listed || !keeps_ties_) {
        cut(std::min(null_.least, k), std::min(null_.most, ties));
        return;
      }
      // The list ends among the ties, which may all be kept: how many more there are is unknown.
      if (null_.drawn_weight < last && !tied(null_.drawn_weight, last)) ranked_out_ = true;
      null_.least = std::min(null_.least, k);
      null_.rest_least = 0;
      return;
    }
    if (!null_.open) return;
    const double room = std::min(rest_count_, static_cast<double>(k - null_.listed));
    // The best `room` of the tokens not listed hold at least their proportional share.
    null_.rest_least *= room / rest_count_;
    if (keeps_ties_) return;
    if (rank_ != kUnknownRank && rank_ >= k) ranked_out_ = true;
    null_.rest_most = std::min(null_.rest_most, room * last);
    rest_count_ = room;
  }

  void top_p() {
    const double p = sampling_.top_p;
    if (p >= 1) return;
    const double slack = kEdgeSlack * null_.total_most();
    const double reached_least = p * null_.total_least() - slack,
                 reached_most = p * null_.total_most() + slack;
    const std::size_t least = first_reaching(reached_least), most = first_reaching(reached_most);
    if (most <= null_.listed || null_.most < null_.listed) {
      cut(std::min(null_.least, least), std::min(null_.most, most));
      return;
    }
    // The nucleus may reach beyond the list; then it overshoots by less than one token.
    const double inside = null_.prefix[null_.listed], last = null_.weight[null_.listed - 1];
    null_.rest_least =
        least <= null_.listed ? 0 : std::min(null_.rest_most, std::max(0.0, reached_least - inside));
    null_.rest_most = std::min(null_.rest_most, reached_most - inside + last);
    null_.least = std::min(null_.least, least);
  }

  void min_p() {
    if (sampling_.min_p <= 0) return;
    const double sure = sampling_.min_p * (1 + kEdgeSlack), maybe = sampling_.min_p * (1 - kEdgeSlack);
    const auto above = [this](double cutoff) {
      std::size_t count = 1;  // the best token is always kept
      while (count < null_.listed && null_.weight[count] >= cutoff) ++count;
      return count;
    };
    const std::size_t least = above(sure), most = above(maybe);
    if (null_.drawn_weight < maybe) ranked_out_ = true;
    rest_count_ = std::min(rest_count_, std::floor(null_.rest_most / maybe));
    if (most < null_.listed || rest_count_ < 1) {
      cut(std::min(null_.least, least), std::min(null_.most, most));
      return;
    }
    null_.least = std::min(null_.least, least);
    null_.rest_least = 0;
  }

  /// The worker knows the sum of what it drew from. It may only narrow what the parameters allow: a sampler
  /// with a wrong filter must not vouch for itself.
  void narrow_to(double kept_weight) {
    if (kept_weight <= 0 || null_.least < null_.listed) return;
    const double rest = kept_weight - null_.prefix[null_.listed];
    null_.rest_least = null_.rest_most = std::clamp(rest, null_.rest_least, null_.rest_most);
  }

  DrawNull finish(bool forbidden) {
    null_.drawable_most = null_.most + (null_.open ? static_cast<std::size_t>(rest_count_) : 0);
    const bool kept = null_.drawn < null_.most || (null_.drawn == null_.listed && null_.open) ||
                      tied(null_.drawn_weight, null_.weight[null_.most - 1]);
    null_.possible = kept && !ranked_out_ && !forbidden;
    return null_;
  }

 private:
  static bool tied(double a, double b) { return std::abs(a - b) <= kEdgeSlack * b; }

  void sum_up() {
    null_.prefix[0] = 0;
    for (std::size_t i = 0; i < null_.listed; ++i) null_.prefix[i + 1] = null_.prefix[i] + null_.weight[i];
  }

  void cut(std::size_t least, std::size_t most) {
    null_.least = std::max<std::size_t>(least, 1);
    null_.most = std::max<std::size_t>(most, 1);
    null_.rest_least = null_.rest_most = 0;
    null_.open = false;
  }

  /// How many listed tokens are needed for this weight; listed + 1 when they do not suffice.
  [[nodiscard]] std::size_t first_reaching(double weight) const {
    std::size_t count = 1;
    while (count <= null_.listed && null_.prefix[count] < weight) ++count;
    return count;
  }

  /// Bounds on the sum of w^power over `rest_count_` weights of at most `last` with a known sum: it is
  /// extreme when the weights are equal, or as many as possible are the largest.
  void bound_rest(double power, double last) {
    if (null_.rest_most <= 0 || last <= 0) {
      null_.rest_least = null_.rest_most = 0;
      return;
    }
    const auto even = [&](double sum) { return std::pow(rest_count_, 1 - power) * std::pow(sum, power); };
    const auto peaked = [&](double sum) { return sum * std::pow(last, power - 1); };
    const double least = null_.rest_least, most = null_.rest_most;
    null_.rest_least = power > 1 ? even(least) : peaked(least);
    null_.rest_most = power > 1 ? peaked(most) : even(most);
  }

  const Sampling& sampling_;
  const bool keeps_ties_;
  const std::uint32_t rank_;
  DrawNull null_;
  std::array<double, DrawNull::kListedMax> log_weight_;  // before temperature
  double drawn_log_weight_ = 0;
  double rest_count_ = 0;    // tokens not listed that can be drawn, at most
  bool ranked_out_ = false;  // the drawn token is outside by its rank or its own weight
};

}  // namespace

DrawNull draw_null(const TokenRecord& record, const Sampling& sampling, const Conduct& conduct) {
  TK_ASSERT(!record.top.empty() && sampling.temperature && *sampling.temperature > 0);
  TK_ASSERT(sampling.vocabulary > record.top.size());
  Steps steps(record, sampling, conduct);
  if (conduct.logprobs != LogprobKind::drawn) {
    for (const Step step : conduct.order) {
      if (step == Step::temperature && conduct.logprobs == LogprobKind::raw) steps.temperature();
      if (!sampling.filters_known) continue;
      if (step == Step::top_k) steps.top_k();
      if (step == Step::top_p) steps.top_p();
      if (step == Step::min_p) steps.min_p();
    }
  }
  steps.narrow_to(record.kept_weight);
  return steps.finish(record.forbidden);
}

}  // namespace truekeel::evidence
