// SPDX-License-Identifier: Apache-2.0
#include "conformance/cases.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/assert.h"
#include "base/philox.h"
#include "conformance/reference.h"

namespace truekeel::conformance {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

std::vector<bool> support(const Row& row, const Semantics& semantics) {
  const Reference exact = reference(row, semantics);
  std::vector<bool> kept(exact.probability.size());
  for (std::size_t id = 0; id < kept.size(); ++id) kept[id] = exact.probability[id] > 0;
  return kept;
}

bool needs_only(const Params& params, const Semantics& semantics) {
  const Params off;
  const auto offered = [&](bool used, Step step) { return !used || semantics.has(step); };
  return offered(params.temperature != off.temperature, Step::temperature) &&
         offered(params.top_k.has_value(), Step::top_k) && offered(params.top_p != off.top_p, Step::top_p) &&
         offered(params.min_p != off.min_p, Step::min_p) && offered(!params.bias.empty(), Step::bias) &&
         offered(params.presence != 0 || params.frequency != 0 || params.repetition != 1, Step::penalties);
}

/// Log probabilities as logits, rounded to the dtype: rows that state their distribution.
std::vector<float> logs(std::vector<double> shares, Dtype dtype) {
  std::vector<float> logits;
  for (double share : shares)
    logits.push_back(share > 0 ? rounded(static_cast<float>(std::log(share)), dtype) : kForbidden);
  return logits;
}

/// One token at 0, all others `gap` below it, the best in the middle of the vocabulary.
std::vector<float> peak(std::size_t vocabulary, float gap) {
  std::vector<float> logits(vocabulary, -gap);
  logits[vocabulary / 2] = 0;
  return logits;
}

/// Distinct logits that fall by `step` from 0, their ids scattered over the vocabulary (a power of two).
std::vector<float> slope(std::size_t vocabulary, float step) {
  std::vector<float> logits(vocabulary);
  for (std::size_t rank = 0; rank < vocabulary; ++rank)
    logits[(rank * 5 + 3) % vocabulary] = -step * static_cast<float>(rank);
  return logits;
}

/// Moves top-p and min-p off the cuts that rounding could decide.
Row cleared(Row row, const Semantics& semantics) {
  for (int i = 0; i < 100 && !is_clear(row, semantics); ++i) {
    if (row.params.top_p < 1) row.params.top_p *= 0.997F;
    if (row.params.min_p > 0) row.params.min_p *= 0.997F;
  }
  TK_ASSERT(is_clear(row, semantics));
  return row;
}

class Builder {
 public:
  explicit Builder(const Semantics& semantics) : semantics_(semantics) {}

  /// Adds the case unless it needs a step that the chain lacks.
  void add(std::string name, std::string why, std::vector<float> logits, Params params = {},
           std::vector<TokenId> history = {}) {
    if (!needs_only(params, semantics_)) return;
    for (float& logit : logits) logit = rounded(logit, semantics_.dtype);
    Row row{.logits = std::move(logits), .params = std::move(params), .history = std::move(history)};
    cases_.push_back({std::move(name), std::move(why), cleared(std::move(row), semantics_)});
  }

  /// Adds a case as it is, cut on a boundary that all float formats hold exactly.
  void add_exact(std::string name, std::string why, std::vector<float> logits, Params params) {
    if (needs_only(params, semantics_))
      cases_.push_back(
          {std::move(name), std::move(why), {.logits = std::move(logits), .params = params}, true});
  }

  [[nodiscard]] std::vector<Case> finish() && { return std::move(cases_); }

 private:
  const Semantics& semantics_;
  std::vector<Case> cases_;
};

void plain_cases(Builder& add, Dtype dtype) {
  add.add("two", "a coin that is not fair", logs({.25, .75}, dtype));
  add.add("eight", "every token with a weight of its own",
          logs({.3, .02, .05, .25, .01, .17, .08, .12}, dtype));
  add.add("masked", "a forbidden token that is drawn all the same, at either end and inside",
          logs({0, .2, 0, .5, .3, 0, 0}, dtype));
  add.add("typical-50", "a row as a model gives it", typical_logits(50, 50));
  add.add("cold", "temperature applied twice, inverted or not at all", typical_logits(50, 7),
          {.temperature = .5F});
  add.add("hot", "temperature applied twice, inverted or not at all", typical_logits(50, 8),
          {.temperature = 2});
  add.add("flat-4096", "a running sum that saturates and cuts the tail of the vocabulary",
          std::vector<float>(4096));
  add.add("tail-4096", "noise that cannot reach rare tokens", peak(4096, 12));
  add.add("tail-131072", "noise of 24 bits, which cannot reach a gap of 18", peak(131072, 18));
  add.add("hidden-4096", "noise that reaches infinity and draws what has no weight", peak(4096, 60));
}

void filter_cases(Builder& add, Dtype dtype) {
  const std::vector<float> sloping = slope(64, .25F), wide = slope(4096, 0x1p-8F);
  add.add("top-k", "one token too many or too few", sloping, {.top_k = 5});
  add.add("top-k-wide", "a k too large for a small heap, which takes another path", wide, {.top_k = 300});
  add.add("top-k-ties", "more than k tokens stay where logits tie at the cut", logs({.3, .4, .3}, dtype),
          {.top_k = 2});
  add.add("top-k-ties-group", "ties at the cut, within a group", {3, 1, 2, 2, 2, 2, 0, 1}, {.top_k = 3});
  add.add("top-p", "one token too many or too few", sloping, {.top_p = .9F});
  add.add("top-p-wide", "a vocabulary too large for a plain sort, which takes another path", wide,
          {.top_p = .9F});
  add.add("top-p-small", "a small p that leaves nothing, or everything", sloping, {.top_p = .05F});
  add.add("top-p-ties", "ties at the cut", {1, 1, 1, 1, 0, 0}, {.top_p = .35F});
  add.add_exact("top-p-boundary", "the token with which the mass is exactly p", {0, 0, 0, 0}, {.top_p = .5F});
  add.add("min-p", "the floor taken against 1 and not against the top", sloping, {.min_p = .1F});
  add.add("top-k-top-p", "top-p on mass that is not renormalised, or before top-k", sloping,
          {.top_k = 8, .top_p = .7F});
  add.add("temperature-top-p", "top-p before or after temperature", sloping,
          {.temperature = 2, .top_p = .8F});
  add.add("temperature-min-p", "min-p before or after temperature", sloping,
          {.temperature = 2, .min_p = .2F});
  add.add("all-filters", "the order of the chain", sloping,
          {.temperature = 1.5F, .top_k = 12, .top_p = .9F, .min_p = .05F});
}

void context_cases(Builder& add) {
  const std::vector<float> logits = {1, .5F, .75F, -.5F, -1, .25F, 0, 1.5F};
  const std::vector<TokenId> history = {7, 0, 0, 0, 4, 7, 3};
  add.add("presence", "presence penalty counted per occurrence", logits, {.presence = 1}, history);
  add.add("frequency", "frequency penalty taken once", logits, {.frequency = .5F}, history);
  add.add("repetition", "negative logits divided, and so made likelier", logits, {.repetition = 1.5F},
          history);
  add.add("penalties", "the order of the penalties", logits,
          {.presence = .5F, .frequency = .25F, .repetition = 1.25F}, history);
  add.add("bias", "a bias added to the wrong token", logits, {.bias = {{2, 1.5F}, {7, -2}}});
}

}  // namespace

std::vector<float> typical_logits(std::size_t vocabulary, std::uint64_t seed) {
  PhiloxStream random(seed, 0xCA5E);
  std::vector<float> logits(vocabulary);
  for (float& logit : logits) {
    // Sums of three uniforms: a bell between -7 and 2.
    const double bell = random.uniform() + random.uniform() + random.uniform();
    logit = static_cast<float>(std::round((bell * 3 - 7) * 4) / 4);
  }
  logits[random.below(vocabulary)] = 3;
  return logits;
}

bool is_clear(const Row& row, const Semantics& semantics) {
  constexpr float kNudge = 1e-4F;
  if (std::ranges::none_of(row.logits, [](float logit) { return std::isfinite(logit); })) return false;
  if (row.params.top_p >= 1 && row.params.min_p <= 0) return true;
  const std::vector<bool> kept = support(row, semantics);
  for (float factor : {1 - kNudge, 1 + kNudge}) {
    Row nudged = row;
    if (nudged.params.top_p < 1) nudged.params.top_p *= factor;
    if (nudged.params.min_p > 0) nudged.params.min_p *= factor;
    if (support(nudged, semantics) != kept) return false;
  }
  return true;
}

std::vector<Case> distribution_cases(const Semantics& semantics) {
  Builder builder(semantics);
  plain_cases(builder, semantics.dtype);
  filter_cases(builder, semantics.dtype);
  context_cases(builder);
  return std::move(builder).finish();
}

}  // namespace truekeel::conformance
