// SPDX-License-Identifier: Apache-2.0
#include "conformance/reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/assert.h"

namespace truekeel::conformance {
namespace {

/// The candidates while the chain is walked, in the order (logit descending, id ascending).
class Candidates {
 public:
  Candidates(const Row& row, const Semantics& semantics) : row_(row), semantics_(semantics) {
    logits_.assign(row.logits.begin(), row.logits.end());
    for (std::size_t id = 0; id < logits_.size(); ++id)
      if (std::isfinite(logits_[id])) kept_.push_back(static_cast<TokenId>(id));
    TK_ASSERT(!kept_.empty());
    sort();
  }

  void apply(Step step) {
    switch (step) {
      case Step::bias:
        return bias();
      case Step::penalties:
        return penalties();
      case Step::temperature:
        return temperature();
      case Step::top_k:
        return top_k();
      case Step::top_p:
        return top_p();
      case Step::min_p:
        return min_p();
    }
  }

  [[nodiscard]] Reference finish() && {
    if (row_.params.temperature == 0) cut(1, semantics_.greedy_ties);
    const std::vector<long double> weights = kept_weights();
    const long double total = std::accumulate(weights.begin(), weights.end(), 0.0L);
    Reference result{std::vector<double>(logits_.size()), {}, 0};
    for (std::size_t i = 0; i < kept_.size(); ++i)
      result.probability[kept_[i]] = static_cast<double>(weights[i] / total);
    for (TokenId id : tied_) result.tied_kept += result.probability[id] > 0;
    if (result.tied_kept > 0) result.tied = std::move(tied_);
    return result;
  }

 private:
  void sort() {
    std::ranges::sort(kept_, [this](TokenId a, TokenId b) {
      return logits_[a] != logits_[b] ? logits_[a] > logits_[b] : a < b;
    });
  }

  void bias() {
    for (const auto& [id, value] : row_.params.bias) logits_[id] += value;
    std::erase_if(kept_, [this](TokenId id) { return !std::isfinite(logits_[id]); });
    sort();
  }

  void penalties() {
    const Params& params = row_.params;
    std::vector<int> count(logits_.size());
    for (TokenId id : row_.history) ++count[id];
    for (std::size_t id = 0; id < logits_.size(); ++id) {
      if (count[id] == 0) continue;
      double& logit = logits_[id];
      logit = logit > 0 ? logit / params.repetition : logit * params.repetition;
      logit -= static_cast<double>(params.presence) + static_cast<double>(params.frequency) * count[id];
    }
    sort();
  }

  void temperature() {
    if (row_.params.temperature == 0) return;
    for (double& logit : logits_) logit /= row_.params.temperature;
  }

  void top_k() {
    if (!row_.params.top_k || *row_.params.top_k < 1) return;
    cut(static_cast<std::size_t>(*row_.params.top_k), semantics_.top_k_ties);
  }

  void top_p() {
    if (row_.params.top_p >= 1) return;
    const std::vector<long double> weights = kept_weights();
    const long double total = semantics_.top_p_mass == TopPMass::kept
                                  ? std::accumulate(weights.begin(), weights.end(), 0.0L)
                                  : vocabulary_mass();
    const long double wanted = static_cast<long double>(row_.params.top_p) * total;
    long double mass = 0;
    std::size_t count = 0;
    while (count < kept_.size()) {
      mass += weights[count++];
      if (semantics_.top_p_rule == TopPRule::reaches ? mass >= wanted : mass > wanted) break;
    }
    cut(count, semantics_.top_p_ties);
  }

  void min_p() {
    if (row_.params.min_p <= 0) return;
    const std::vector<long double> weights = kept_weights();
    std::size_t count = 1;
    while (count < kept_.size() && weights[count] >= row_.params.min_p * weights[0]) ++count;
    kept_.resize(count);
  }

  /// Keeps the first `count` candidates, and of those tied at the cut what `ties` says.
  void cut(std::size_t count, Ties ties) {
    if (count >= kept_.size()) return;
    const double last = logits_[kept_[count - 1]];
    if (logits_[kept_[count]] == last) {
      const auto same = [&](TokenId id) { return logits_[id] == last; };
      if (ties == Ties::keep_all) {
        while (count < kept_.size() && same(kept_[count])) ++count;
      } else if (ties == Ties::any) {
        tied_.clear();
        std::ranges::copy_if(kept_, std::back_inserter(tied_), same);
      }
    }
    kept_.resize(count);
  }

  /// exp(logit - top), in the order of kept_.
  [[nodiscard]] std::vector<long double> kept_weights() const {
    std::vector<long double> weights;
    weights.reserve(kept_.size());
    const long double top = logits_[kept_.front()];
    for (TokenId id : kept_) weights.push_back(std::exp(static_cast<long double>(logits_[id]) - top));
    return weights;
  }

  [[nodiscard]] long double vocabulary_mass() const {
    const long double top = logits_[kept_.front()];
    long double mass = 0;
    for (double logit : logits_) mass += std::exp(static_cast<long double>(logit) - top);
    return mass;
  }

  const Row& row_;
  const Semantics& semantics_;
  std::vector<double> logits_;
  std::vector<TokenId> kept_;
  std::vector<TokenId> tied_;
};

/// Rounds the low `dropped` bits of a finite float away, to nearest, ties to even.
float without_low_bits(float value, int dropped) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t half = (1U << (dropped - 1)) - 1 + ((bits >> dropped) & 1);
  return std::bit_cast<float>((bits + half) & ~((1U << dropped) - 1));
}

}  // namespace

Reference reference(const Row& row, const Semantics& semantics) {
  Candidates candidates(row, semantics);
  for (Step step : semantics.chain) candidates.apply(step);
  return std::move(candidates).finish();
}

float rounded(float value, Dtype dtype) {
  if (dtype == Dtype::fp32 || !std::isfinite(value)) return value;
  if (dtype == Dtype::bf16) return without_low_bits(value, 16);
  constexpr float kSmallestNormal = 0x1p-14F, kLargest = 65504;
  if (std::abs(value) < kSmallestNormal) return std::nearbyint(value * 0x1p24F) * 0x1p-24F;
  const float nearest = without_low_bits(value, 13);
  return std::abs(nearest) > kLargest ? std::copysign(INFINITY, value) : nearest;
}

}  // namespace truekeel::conformance
