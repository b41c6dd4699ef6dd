// SPDX-License-Identifier: Apache-2.0
// Exact enumeration: the kit injects uniforms, finds every interval's ends by bisection to the last bit,
// and compares widths with weights. No statistics, no error probability.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "conformance/cases.h"
#include "conformance/check.h"
#include "conformance/reference.h"

namespace truekeel::conformance {
namespace {

// One evaluation per point and per halving: rows beyond this would take minutes through a process.
constexpr std::size_t kVocabularyMax = 64;
constexpr std::uint64_t kGrid = 512;

struct Point {
  std::uint64_t uniform;
  TokenId token;
};

/// The tokens at these uniforms. Error::invalid_argument when the sampler refuses one.
Result<std::vector<Point>> evaluate(Session& session, const Row& row, std::vector<std::uint64_t> uniforms) {
  Call call{.rows = {row}, .steps = uniforms.size(), .uniforms = std::move(uniforms)};
  const auto draws = session.draw(call);
  if (!draws) return std::unexpected(draws.error());
  std::vector<Point> points;
  for (std::size_t i = 0; i < draws->size(); ++i) {
    if (!(*draws)[i]) return fail(ErrorCode::invalid_argument, "refused: " + (*draws)[i].error());
    points.push_back({call.uniforms[i], *(*draws)[i]});
  }
  return points;
}

/// Token ids in the order in which a growing uniform meets them.
std::vector<TokenId> declared_order(const Reference& exact, IntervalOrder order) {
  std::vector<TokenId> ids(exact.probability.size());
  std::iota(ids.begin(), ids.end(), 0);
  if (order == IntervalOrder::descending)
    std::ranges::sort(ids, [&](TokenId a, TokenId b) {
      return exact.probability[a] != exact.probability[b] ? exact.probability[a] > exact.probability[b]
                                                          : a < b;
    });
  return ids;
}

/// Where to look first: a grid, both ends, and both sides of every expected interval end.
std::vector<std::uint64_t> first_uniforms(const Reference& exact, const Semantics& semantics) {
  std::vector<std::uint64_t> uniforms = {0, ~std::uint64_t{0}};
  for (std::uint64_t i = 1; i < kGrid; ++i) uniforms.push_back(i * (~std::uint64_t{0} / kGrid));
  if (semantics.interval_order != IntervalOrder::any) {
    long double sum = 0;
    for (TokenId id : declared_order(exact, semantics.interval_order)) {
      // Just inside each interval, so that even one narrower than the grid is met.
      const long double middle = sum + exact.probability[id] / 2;
      sum += exact.probability[id];
      if (exact.probability[id] > 0) uniforms.push_back(static_cast<std::uint64_t>(middle * 0x1p64L));
    }
  }
  std::ranges::sort(uniforms);
  const auto repeated = std::ranges::unique(uniforms);
  uniforms.erase(repeated.begin(), repeated.end());
  return uniforms;
}

/// The first uniform of every run of equal tokens, exact to 2^-64.
Result<std::vector<Point>> interval_starts(Session& session, const Row& row, const Reference& exact) {
  auto points = evaluate(session, row, first_uniforms(exact, session.semantics()));
  if (!points) return points;
  struct Gap {
    Point left, right;
  };
  std::vector<Gap> open;
  for (std::size_t i = 1; i < points->size(); ++i)
    if ((*points)[i - 1].token != (*points)[i].token) open.push_back({(*points)[i - 1], (*points)[i]});

  std::vector<Point> starts = {points->front()};
  while (!open.empty()) {
    std::vector<std::uint64_t> middles;
    for (const Gap& gap : open)
      middles.push_back(gap.left.uniform + (gap.right.uniform - gap.left.uniform) / 2);
    const auto seen = evaluate(session, row, std::move(middles));
    if (!seen) return seen;
    std::vector<Gap> next;
    for (std::size_t i = 0; i < open.size(); ++i) {
      const auto keep = [&](const Point& left, const Point& right) {
        if (left.token == right.token) return;
        if (right.uniform - left.uniform == 1)
          starts.push_back(right);
        else
          next.push_back({left, right});
      };
      const Point& middle = (*seen)[i];
      if (middle.uniform != open[i].left.uniform) keep(open[i].left, middle);
      keep(middle, open[i].right);
    }
    open = std::move(next);
  }
  std::ranges::sort(starts, {}, &Point::uniform);
  return starts;
}

std::vector<double> widths(const std::vector<Point>& starts, std::size_t vocabulary) {
  std::vector<double> width(vocabulary);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    // 64 bits of mantissa: even the last interval of a few units keeps its width.
    const long double end = i + 1 < starts.size() ? starts[i + 1].uniform : 0x1p64L;
    width[starts[i].token] += static_cast<double>((end - starts[i].uniform) / 0x1p64L);
  }
  return width;
}

/// Why the widths are not the weights; empty if they are.
std::string mismatch(std::vector<double> width, const Reference& exact, const Semantics& semantics) {
  std::vector<double> weight = exact.probability;
  if (!exact.tied.empty()) {
    // Which tied tokens stay is open; how many and their mass is not.
    std::uint64_t stay = 0;
    for (TokenId id : exact.tied) stay += width[id] > 0;
    if (stay != exact.tied_kept)
      return fmt::format("{} of {} tokens tied at the cut stay, {} should", stay, exact.tied.size(),
                         exact.tied_kept);
    for (TokenId id : exact.tied) {
      if (id == exact.tied.front()) continue;
      width[exact.tied.front()] += std::exchange(width[id], 0.0);
      weight[exact.tied.front()] += std::exchange(weight[id], 0.0);
    }
  }
  std::size_t worst = 0;
  const auto off = [&](std::size_t id) { return std::abs(width[id] - weight[id]); };
  for (std::size_t id = 0; id < width.size(); ++id) {
    if (weight[id] == 0 && width[id] > 0)
      return fmt::format("token {} has weight 0 and an interval of width {:.3g}", id, width[id]);
    if (off(id) > off(worst)) worst = id;
  }
  if (off(worst) <= semantics.resolution) return {};
  return fmt::format(
      "token {}: interval of width {:.12g}, weight {:.12g}, off by {:.3g}; declared resolution {:.3g}", worst,
      width[worst], weight[worst], off(worst), semantics.resolution);
}

bool in_order(const std::vector<Point>& starts, const Reference& exact, IntervalOrder order) {
  for (std::size_t i = 1; i < starts.size(); ++i) {
    const TokenId before = starts[i - 1].token, after = starts[i].token;
    if (order == IntervalOrder::by_id && before >= after) return false;
    if (order == IntervalOrder::descending && exact.probability[before] < exact.probability[after])
      return false;
  }
  return true;
}

Result<Seen> probe(Session& session, std::span<const Row> rows, bool exact_case) {
  const Row& row = rows.front();
  const Semantics& semantics = session.semantics();
  if (!exact_case && !is_clear(row, semantics)) return Seen{.what = "rounding may decide this row"};
  const Reference exact = reference(row, semantics);
  const auto starts = interval_starts(session, row, exact);
  if (!starts) return std::unexpected(starts.error());
  if (const std::string off = mismatch(widths(*starts, row.logits.size()), exact, semantics); !off.empty())
    return Seen{.holds = false, .what = off};
  if (!in_order(*starts, exact, semantics.interval_order))
    return Seen{.holds = false, .what = "the intervals do not stand in the declared order"};
  return Seen{.what = fmt::format("{} intervals, each as wide as its weight within {:.3g}", starts->size(),
                                  semantics.resolution)};
}

/// Whether the search would meet every interval: without a declared order only the grid finds them.
bool searchable(const Row& row, const Semantics& semantics) {
  if (row.logits.size() > kVocabularyMax) return false;
  if (semantics.interval_order != IntervalOrder::any) return true;
  return std::ranges::all_of(reference(row, semantics).probability, [&](double share) {
    return share == 0 || share > 2.0 / kGrid || share < semantics.resolution;
  });
}

}  // namespace

std::vector<Check> enumeration_checks(const Semantics& semantics) {
  std::vector<Check> checks;
  if (!semantics.injects) return checks;
  for (Case& one : distribution_cases(semantics)) {
    if (!searchable(one.row, semantics)) continue;
    checks.push_back(
        {.name = "enumeration/" + one.name,
         .law = "every token's interval of the uniform is as wide as its weight",
         .rows = {std::move(one.row)},
         .probe = [exact = one.exact](Session& session,
                                      std::span<const Row> rows) { return probe(session, rows, exact); },
         .shrinkable = !one.exact});
  }
  return checks;
}

}  // namespace truekeel::conformance
