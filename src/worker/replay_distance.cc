// SPDX-License-Identifier: Apache-2.0
#include "worker/replay_distance.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/philox.h"

namespace truekeel::worker {
namespace {

using select::Choice;
using select::Draw;
using select::Params;

struct Interval {
  std::uint64_t begin = 0, end = 0;
};

/// Where the draw points, in units of weight; not rounded down, so that two draws of one point differ.
double point_of(Draw draw, const Choice& selected) {
  return static_cast<double>(draw.bits) * 0x1p-64 * static_cast<double>(selected.kept_weight);
}

/// The first draw that points at this unit. Requires: unit < weight.
Draw draw_at(std::uint64_t unit, std::uint64_t weight) {
  const auto scaled = static_cast<uint128>(unit) << 64;
  return {static_cast<std::uint64_t>((scaled + weight - 1) / weight)};
}

/// The interval of a token, empty at its place where it has none: intervals stand in the order of ids, so
/// each draw says on which side to look on.
std::optional<Interval> find_interval(const Params& params, const Choice& known, std::uint32_t id,
                                      const Reselect& again) {
  Interval open{0, known.kept_weight};
  for (Choice seen = known; open.begin < open.end;) {
    if (seen.id == id) return Interval{seen.begin, seen.end};
    (seen.id < id ? open.begin : open.end) = seen.id < id ? seen.end : seen.begin;
    if (open.begin >= open.end) break;
    const auto outcome = again(params, draw_at(open.begin + (open.end - open.begin) / 2, known.kept_weight));
    if (!outcome) return std::nullopt;
    seen = *outcome;
  }
  return Interval{open.begin, open.begin};
}

std::optional<double> distance_inside(const Choice& selected, double point) {
  const auto weight = static_cast<double>(selected.kept_weight);
  std::optional<double> distance;
  // The ends of the whole range are no boundary to another token.
  if (selected.begin > 0) distance = (point - static_cast<double>(selected.begin)) / weight;
  if (selected.end < selected.kept_weight) {
    distance = std::min(distance.value_or(1), (static_cast<double>(selected.end) - point) / weight);
  }
  return distance ? std::optional(std::max(*distance, 0.0)) : std::nullopt;
}

/// 1/2 minus the share of `loser` when it and `winner` are alone, at temperature 1 after bias and penalties.
std::optional<double> pair_distance(const Params& params, std::uint32_t winner, std::uint32_t loser,
                                    std::uint32_t vocabulary, const Reselect& again) {
  std::vector<std::uint64_t> allowed((vocabulary + 63) / 64);
  for (const auto id : {winner, loser}) allowed[id / 64] |= 1ull << id % 64;
  auto pair = params;
  pair.temperature = 1;
  pair.top_k = 0;
  pair.top_p = 1;
  pair.min_p = 0;
  pair.allowed = allowed;
  const auto low = again(pair, {0});
  if (!low) return std::nullopt;
  const auto share = static_cast<double>(low->end - low->begin) / static_cast<double>(low->kept_weight);
  return std::max(0.0, 0.5 - (low->id == loser ? share : 1 - share));
}

std::optional<double> greedy_distance(const Params& params, const Choice& selected, std::uint32_t given,
                                      std::uint32_t vocabulary, const Reselect& again) {
  if (selected.id != given) return pair_distance(params, selected.id, given, vocabulary, again);
  std::vector<std::uint64_t> allowed((vocabulary + 63) / 64, ~0ull);
  allowed[given / 64] &= ~(1ull << given % 64);
  auto others = params;
  others.allowed = allowed;
  const auto second = again(others, {});
  if (!second) return std::nullopt;  // there is no other
  return pair_distance(params, given, second->id, vocabulary, again);
}

}  // namespace

std::optional<double> replay_distance(const Params& params, Draw draw, const Choice& selected,
                                      std::uint32_t given, std::uint32_t vocabulary, const Reselect& again) {
  if (params.temperature == 0) return greedy_distance(params, selected, given, vocabulary, again);
  const double point = point_of(draw, selected);
  if (selected.id == given) return distance_inside(selected, point);
  const auto interval = find_interval(params, selected, given, again);
  if (!interval) return std::nullopt;
  const auto begin = static_cast<double>(interval->begin), end = static_cast<double>(interval->end);
  return std::max({begin - point, point - end, 0.0}) / static_cast<double>(selected.kept_weight);
}

}  // namespace truekeel::worker
