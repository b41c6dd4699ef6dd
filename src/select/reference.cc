// SPDX-License-Identifier: Apache-2.0
#include "select/reference.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "select/check.h"
#include "select/logarithm.h"
#include "select/weight.h"

namespace truekeel::select {
namespace {

using Values = std::vector<float>;

std::optional<Failure> find_bad_value(const Values& values) {
  for (std::uint32_t id = 0; id < values.size(); ++id) {
    if (std::isnan(values[id])) return Failure{Fault::nan_logit, 0, id};
    if (key_of(values[id]) == kInfinite) return Failure{Fault::infinite_logit, 0, id};
  }
  return std::nullopt;
}

void edit(Op op, const Params& params, Values& values) {
  if (op == Op::bias)
    for (const TokenBias& entry : params.bias) values[entry.id] += entry.bias;
  if (op == Op::penalties) {
    for (const TokenCount& entry : params.counts) {
      float& x = values[entry.id];
      if (entry.repeated != 0) x = x > 0 ? x / params.repetition : x * params.repetition;
      x -= static_cast<float>(entry.counted) * params.frequency +
           static_cast<float>(entry.counted > 0) * params.presence;
    }
  }
  if (op == Op::mask && !params.allowed.empty())
    for (std::uint32_t id = 0; id < values.size(); ++id)
      if ((params.allowed[id / 64] >> (id % 64) & 1) == 0) values[id] = value_of(kForbidden);
}

/// Ids by key descending, then id ascending; without the forbidden ones.
std::vector<std::uint32_t> order_of(const Values& values) {
  std::vector<std::uint32_t> ids;
  for (std::uint32_t id = 0; id < values.size(); ++id)
    if (key_of(values[id]) != kForbidden) ids.push_back(id);
  std::ranges::sort(ids, [&](std::uint32_t a, std::uint32_t b) {
    const Key key_a = key_of(values[a]), key_b = key_of(values[b]);
    return key_a != key_b ? key_a > key_b : a < b;
  });
  return ids;
}

using Weights = std::vector<std::uint64_t>;

/// The weights of a prefix of the order.
Weights weights_of(const Values& values, std::span<const std::uint32_t> order, float temperature) {
  const Scale scale = Scale::of(values[order[0]], temperature);
  Weights weights;
  for (const std::uint32_t id : order) weights.push_back(weight_of(values[id], scale));
  return weights;
}

std::uint64_t sum_of(std::span<const std::uint64_t> weights) {
  std::uint64_t sum = 0;
  for (const std::uint64_t weight : weights) sum += weight;
  return sum;
}

/// Length of the shortest prefix, at least 1, whose weights sum to this.
std::size_t prefix_with(std::span<const std::uint64_t> weights, std::uint64_t needed) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    if (sum >= needed) return i + 1;
  }
  return weights.size();
}

/// Length of the prefix of weights that are at least this; weights descend.
std::size_t prefix_above(std::span<const std::uint64_t> weights, std::uint64_t least) {
  const auto below = std::ranges::find_if(weights, [&](std::uint64_t weight) { return weight < least; });
  return static_cast<std::size_t>(below - weights.begin());
}

struct Kept {
  Weights weights;  // of the kept prefix of the order
  bool greedy = false;
};

Kept filter(const Params& params, const Values& values, std::span<const std::uint32_t> order) {
  float temperature = 1;
  for (const Op op : params.chain.ops()) {
    if (op == Op::temperature) temperature = params.temperature;
    if (temperature == 0) return {{kWeightMax}, true};
    if (op == Op::top_k && params.top_k != 0)
      order = order.first(std::min<std::size_t>(order.size(), params.top_k));
    if (op == Op::top_p && params.top_p < 1) {
      const Weights weights = weights_of(values, order, temperature);
      order = order.first(prefix_with(weights, share_of(params.top_p, sum_of(weights))));
    }
    if (op == Op::min_p && params.min_p > 0)
      order = order.first(
          prefix_above(weights_of(values, order, temperature), share_of(params.min_p, kWeightMax)));
  }
  return {weights_of(values, order, temperature), false};
}

Choice draw_from(const Kept& kept, const Values& values, const std::vector<std::uint32_t>& order, Draw draw) {
  Choice choice;
  choice.kept_count = static_cast<std::uint32_t>(kept.weights.size());
  choice.kept_weight = sum_of(kept.weights);
  const std::uint64_t point = scale_bits(draw.bits, choice.kept_weight);
  std::vector<std::uint64_t> weight_by_id(values.size());
  for (std::size_t i = 0; i < kept.weights.size(); ++i) weight_by_id[order[i]] = kept.weights[i];
  while (choice.end <= point) {
    choice.begin = choice.end;
    choice.end += weight_by_id[choice.id++];
  }
  --choice.id;
  choice.rank = static_cast<std::uint32_t>(std::ranges::find(order, choice.id) - order.begin());
  choice.key_margin = key_of(values[order[0]]) - key_of(values[choice.id]);
  return choice;
}

FullRecord full_record(const Values& raw, std::uint32_t id) {
  FullRecord full;
  for (std::uint32_t other = 1; other < raw.size(); ++other)
    if (key_of(raw[other]) > key_of(raw[full.top_id])) full.top_id = other;
  const float max = raw[full.top_id];
  const Scale scale = Scale::of(max, 1);
  Weights weights;
  for (const float value : raw) weights.push_back(weight_of(value, scale));
  const std::uint64_t total = sum_of(weights);
  full.normaliser = static_cast<double>(max) + natural_log(static_cast<double>(total) * 0x1p-44);
  full.logprob = static_cast<double>(raw[id]) - full.normaliser;
  full.top_margin = static_cast<double>(max) - static_cast<double>(raw[id]);
  for (std::size_t cut = 0; cut < kTailCuts.size(); ++cut) {
    const std::uint64_t least = share_of(kTailCuts[cut], total);
    std::uint64_t below = 0;
    for (const std::uint64_t weight : weights) below += weight < least ? weight : 0;
    full.tail_mass[cut] = static_cast<double>(below) / static_cast<double>(total);
  }
  return full;
}

}  // namespace

Outcome reference_select(const Row& row, const Params& params, Draw draw, FullRecord* full) {
  if (const auto failure = check(params, row.size)) return std::unexpected(*failure);
  Values raw;
  for (std::uint32_t id = 0; id < row.size; ++id) raw.push_back(row[id]);
  if (const auto failure = find_bad_value(raw)) return std::unexpected(*failure);
  Values values = raw;
  for (const Op op : params.chain.ops()) edit(op, params, values);
  if (const auto failure = find_bad_value(values)) return std::unexpected(*failure);
  const auto order = order_of(values);
  if (order.empty()) return std::unexpected(Failure{Fault::all_forbidden});
  const Choice choice = draw_from(filter(params, values, order), values, order, draw);
  if (full != nullptr) *full = full_record(raw, choice.id);
  return choice;
}

}  // namespace truekeel::select
