// SPDX-License-Identifier: Apache-2.0
// A correct sampler in the plainest code, for tests: each step is a hook that a mutant overrides with one
// fault. Thread safety: none needed, no state but the semantics.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/philox.h"
#include "conformance/sampler.h"

namespace truekeel::conformance {

/// Inverse CDF in id order over integer weights, shards merged by (logit descending, id ascending).
class CleanSampler : public Sampler {
 public:
  CleanSampler() {
    semantics_.name = "clean";
    semantics_.injects = true;
    semantics_.seeding = Seeding::keyed;
    semantics_.interval_order = IntervalOrder::by_id;
    semantics_.resolution = 0x1p-36;
    semantics_.smallest_weight = 0x1p-44;
    semantics_.batch_max = 65;
    semantics_.batch_invariant = true;
    semantics_.shards_max = 64;
    semantics_.edges = {{Edge::nan_logit, EdgeRule::refused},
                        {Edge::plus_infinity, EdgeRule::refused},
                        {Edge::all_forbidden, EdgeRule::refused},
                        {Edge::temperature_zero, EdgeRule::greedy},
                        {Edge::temperature_negative, EdgeRule::refused},
                        {Edge::temperature_nan, EdgeRule::refused},
                        {Edge::top_k_zero, EdgeRule::off},
                        {Edge::top_k_negative, EdgeRule::refused},
                        {Edge::top_p_zero, EdgeRule::greedy},
                        {Edge::top_p_above_one, EdgeRule::refused}};
  }

  [[nodiscard]] const Semantics& semantics() const override { return semantics_; }

  [[nodiscard]] Result<std::vector<Draw>> draw(const Call& call) override {
    std::vector<std::expected<Prepared, std::string>> prepared;
    for (std::size_t slot = 0; slot < call.rows.size(); ++slot) prepared.push_back(prepare(call, slot));
    std::vector<Draw> draws;
    for (std::uint64_t step = 0; step < call.steps; ++step)
      for (std::size_t slot = 0; slot < call.rows.size(); ++slot)
        draws.push_back(prepared[slot] ? Draw(pick(*prepared[slot], call, slot, step))
                                       : Draw(std::unexpected(prepared[slot].error())));
    return draws;
  }

 protected:
  /// What a row is drawn from: ids ascending, logits below the top in units of the temperature.
  struct Prepared {
    std::vector<TokenId> ids = {};
    std::vector<double> logits = {};
    std::vector<std::uint64_t> cumulative = {};
    std::vector<std::uint64_t> noise_keys = {};  ///< of GumbelSampler
  };
  using Ids = std::vector<TokenId>;
  using Logits = std::vector<double>;

  // The hooks, in order of use.
  [[nodiscard]] virtual Params effective(const Params& params) const { return params; }

  [[nodiscard]] virtual std::span<const TokenId> history(const Call& call, std::size_t slot) const {
    return call.rows[slot].history;
  }

  /// The best `count` of all shards' bests: (logit descending, id ascending).
  [[nodiscard]] virtual Ids top(const Call& call, std::size_t slot, const Logits& logits,
                                std::size_t count) const {
    Ids merged;
    for (const auto& [begin, end] : shards(call, logits.size())) {
      const Ids own = best_of(logits, begin, end, count);
      merged.insert(merged.end(), own.begin(), own.end());
    }
    static_cast<void>(slot);
    sort(merged, logits);
    merged.resize(std::min(count, merged.size()));
    return merged;
  }

  /// How many of these shares, descending and summing to 1, top-p keeps.
  [[nodiscard]] virtual std::size_t top_p_count(const std::vector<double>& shares, double p) const {
    double sum = 0;
    std::size_t count = 0;
    while (count < shares.size() && sum < p) sum += shares[count++];
    return std::max<std::size_t>(count, 1);
  }

  [[nodiscard]] virtual std::vector<std::uint64_t> cumulative(const Logits& below_top) const {
    std::vector<std::uint64_t> sums;
    std::uint64_t sum = 0;
    for (double logit : below_top)
      sums.push_back(sum += static_cast<std::uint64_t>(std::exp(logit) * 0x1p44));
    return sums;
  }

  virtual void finish(Prepared& row, const Call& call, std::size_t slot) const {
    static_cast<void>(row), static_cast<void>(call), static_cast<void>(slot);
  }

  [[nodiscard]] virtual std::uint64_t bits(const Call& call, std::size_t slot, std::uint64_t step) const {
    if (!call.uniforms.empty()) return call.uniforms[step * call.rows.size() + slot];
    const Row& row = call.rows[slot];
    return row.seed ? philox_bits(*row.seed, row.position + step, 0) : unseeded_.next();
  }

  [[nodiscard]] virtual TokenId pick(const Prepared& row, const Call& call, std::size_t slot,
                                     std::uint64_t step) const {
    const uint128 product = static_cast<uint128>(bits(call, slot, step)) * row.cumulative.back();
    const auto at = std::ranges::upper_bound(row.cumulative, static_cast<std::uint64_t>(product >> 64));
    return row.ids[at - row.cumulative.begin()];
  }

  // Helpers.
  [[nodiscard]] static std::vector<std::pair<TokenId, TokenId>> shards(const Call& call,
                                                                       std::size_t vocabulary) {
    std::vector<std::pair<TokenId, TokenId>> ranges;
    TokenId begin = 0;
    for (std::uint64_t size : call.shards) {
      ranges.emplace_back(begin, begin + static_cast<TokenId>(size));
      begin = ranges.back().second;
    }
    if (ranges.empty()) ranges.emplace_back(0, static_cast<TokenId>(vocabulary));
    return ranges;
  }

  static void sort(Ids& ids, const Logits& logits) {
    std::ranges::sort(
        ids, [&](TokenId a, TokenId b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  }

  [[nodiscard]] static Ids best_of(const Logits& logits, TokenId begin, TokenId end, std::size_t count) {
    Ids ids;
    for (TokenId id = begin; id < end; ++id)
      if (std::isfinite(logits[id])) ids.push_back(id);
    sort(ids, logits);
    ids.resize(std::min(count, ids.size()));
    return ids;
  }

  Semantics semantics_;
  mutable PhiloxStream unseeded_{0xFEED};

 private:
  [[nodiscard]] static std::string refusal(const Row& row, const Params& params) {
    bool any = false;
    for (float logit : row.logits) {
      if (std::isnan(logit) || logit == INFINITY) return "a logit is NaN or +inf";
      any = any || logit > -INFINITY;
    }
    if (!any) return "every token is forbidden";
    if (!(params.temperature >= 0x1p-64F) && params.temperature != 0) return "bad temperature";
    if (params.top_k.value_or(0) < 0 || params.top_p > 1) return "bad filter";
    return {};
  }

  [[nodiscard]] Logits adjusted(const Call& call, std::size_t slot, const Params& params) const {
    Logits logits(call.rows[slot].logits.begin(), call.rows[slot].logits.end());
    for (const auto& [id, value] : params.bias) logits[id] += value;
    std::vector<int> count(logits.size());
    for (TokenId id : history(call, slot)) ++count[id];
    for (std::size_t id = 0; id < logits.size(); ++id) {
      if (count[id] == 0) continue;
      logits[id] = logits[id] > 0 ? logits[id] / params.repetition : logits[id] * params.repetition;
      logits[id] -= static_cast<double>(params.presence) + static_cast<double>(params.frequency) * count[id];
    }
    return logits;
  }

  [[nodiscard]] std::expected<Prepared, std::string> prepare(const Call& call, std::size_t slot) const {
    const Params params = effective(call.rows[slot].params);
    if (std::string why = refusal(call.rows[slot], params); !why.empty()) return std::unexpected(why);
    const Logits logits = adjusted(call, slot, params);
    const bool greedy = params.temperature == 0;
    const std::size_t k = greedy ? 1 : params.top_k.value_or(0) > 0 ? *params.top_k : logits.size();
    Ids kept = top(call, slot, logits, k);
    const double temperature = greedy ? 1 : params.temperature, best = logits[kept.front()];
    const auto below_top = [&](TokenId id) { return (logits[id] - best) / temperature; };

    std::vector<double> shares;
    double total = 0;
    for (TokenId id : kept) total += std::exp(below_top(id));
    for (TokenId id : kept) shares.push_back(std::exp(below_top(id)) / total);
    if (params.top_p < 1) kept.resize(std::min(top_p_count(shares, params.top_p), kept.size()));
    std::erase_if(kept, [&](TokenId id) { return std::exp(below_top(id)) < params.min_p; });

    std::ranges::sort(kept);
    Prepared prepared{.ids = kept};
    for (TokenId id : kept) prepared.logits.push_back(below_top(id));
    prepared.cumulative = cumulative(prepared.logits);
    finish(prepared, call, slot);
    return prepared;
  }
};

/// The same distribution by noise: the token with the largest logit + Gumbel noise, each token's noise keyed
/// by (seed, position, id). It has no single uniform that could be injected.
class GumbelSampler : public CleanSampler {
 public:
  GumbelSampler() { semantics_.injects = false; }

 protected:
  /// Uniform in (0, 1).
  [[nodiscard]] virtual double uniform(std::uint64_t hash) const {
    return (static_cast<double>(hash >> 11) + .5) * 0x1p-53;
  }

  /// What names a token's noise.
  [[nodiscard]] virtual std::uint64_t noise_key(const Call&, std::size_t, const Prepared& row,
                                                std::size_t index) const {
    return static_cast<std::uint64_t>(row.ids[index]);
  }

  void finish(Prepared& row, const Call& call, std::size_t slot) const override {
    for (std::size_t i = 0; i < row.ids.size(); ++i)
      row.noise_keys.push_back(noise_key(call, slot, row, i) * 0x9E3779B97F4A7C15ULL);
  }

  [[nodiscard]] TokenId pick(const Prepared& row, const Call& call, std::size_t slot,
                             std::uint64_t step) const override {
    const std::uint64_t base = bits(call, slot, step);
    double best = -INFINITY;
    std::size_t winner = 0;
    for (std::size_t i = 0; i < row.ids.size();) {
      // Noise grows with the hash: of a run of equal logits only the largest hash needs logarithms.
      const double logit = row.logits[i];
      std::uint64_t largest = 0;
      std::size_t at = i;
      for (; i < row.ids.size() && row.logits[i] == logit; ++i)
        if (const std::uint64_t own = mix(base + row.noise_keys[i]); own > largest) {
          largest = own;
          at = i;
        }
      if (const double score = logit - std::log(-std::log(uniform(largest))); score > best) {
        best = score;
        winner = at;
      }
    }
    return row.ids[winner];
  }

 private:
  /// The finaliser of splitmix64.
  [[nodiscard]] static std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
  }
};

}  // namespace truekeel::conformance
