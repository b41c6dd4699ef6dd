// SPDX-License-Identifier: Apache-2.0
// Edges: inputs at the limits of the contract. Some outcomes every sampler owes; others it declares.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "conformance/cases.h"
#include "conformance/fit.h"
#include "conformance/rows.h"

namespace truekeel::conformance {
namespace {

using Limits = std::numeric_limits<float>;
constexpr float kNan = Limits::quiet_NaN(), kInfinity = Limits::infinity();
constexpr std::uint64_t kDraws = 64;

bool plain(const Row& row) {
  return std::ranges::all_of(row.logits,
                             [](float logit) { return !std::isnan(logit) && logit < kInfinity; }) &&
         std::ranges::any_of(row.logits, [](float logit) { return logit > -kInfinity; });
}

std::string text_of(const Draw& draw) {
  return draw ? fmt::format("token {}", *draw) : "refused: " + draw.error();
}

Result<std::vector<Draw>> draws_of(Session& session, const Row& row) {
  auto drawn = draw_together(session, {&row, 1}, kDraws);
  if (!drawn) return std::unexpected(drawn.error());
  return std::move(drawn->front());
}

/// Every draw is one of the tokens of highest logit; under Ties::by_id, the first of them.
std::string not_greedy(std::span<const Draw> draws, const Row& row, Ties ties) {
  float best = -kInfinity;
  for (float logit : row.logits)
    if (!std::isnan(logit)) best = std::max(best, logit);
  const auto first = std::ranges::find(row.logits, best) - row.logits.begin();
  for (const Draw& draw : draws) {
    const bool top = draw && row.logits[*draw] == best && (ties != Ties::by_id || *draw == first);
    if (!top) return fmt::format("the best token is {}; came: {}", first, text_of(draw));
  }
  return {};
}

Seen holds_if_empty(const std::string& fault, const std::string& fine) {
  return {.holds = fault.empty(), .what = fault.empty() ? fine : fault};
}

/// The outcome that every sampler owes: the best token.
Result<Seen> best_token(Session& session, std::span<const Row> rows) {
  if (!plain(rows.front())) return Seen{.what = "not the edge in question"};
  const auto draws = draws_of(session, rows.front());
  if (!draws) return std::unexpected(draws.error());
  return holds_if_empty(not_greedy(*draws, rows.front(), session.semantics().greedy_ties),
                        "the best token, always");
}

/// As above, but a refusal will do.
Result<Seen> best_token_or_refused(Session& session, std::span<const Row> rows) {
  const auto draws = draws_of(session, rows.front());
  if (!draws) return std::unexpected(draws.error());
  if (std::ranges::none_of(*draws, [](const Draw& draw) { return draw.has_value(); }))
    return Seen{.what = "refused"};
  return holds_if_empty(not_greedy(*draws, rows.front(), session.semantics().greedy_ties),
                        "the best token, always");
}

/// The draws follow the distribution of the row without its edge.
Probe fits_as(std::function<void(Row&)> meant) {
  return [meant = std::move(meant)](Session& session, std::span<const Row> rows) -> Result<Seen> {
    Row plain_row = rows.front();
    meant(plain_row);
    if (!plain(plain_row)) return Seen{.what = "not the edge in question"};
    return draw_and_fit(session, rows.front(), plain_row);
  };
}

/// Whether the row still is at its edge: shrinking must not lose it.
using AtEdge = std::function<bool(const Row&)>;

Probe holds_to(EdgeRule rule, AtEdge at_edge) {
  return [rule, at_edge = std::move(at_edge)](Session& session, std::span<const Row> rows) -> Result<Seen> {
    const Row& row = rows.front();
    if (!at_edge(row)) return Seen{.what = "not the edge in question"};
    const auto draws = draws_of(session, row);
    if (!draws) return std::unexpected(draws.error());
    if (rule == EdgeRule::undefined) return Seen{.holds = false, .what = "came: " + text_of(draws->front())};
    if (rule == EdgeRule::greedy)
      return holds_if_empty(not_greedy(*draws, row, session.semantics().greedy_ties),
                            "the best token, always");
    const auto drawn = std::ranges::find_if(*draws, [](const Draw& draw) { return draw.has_value(); });
    return holds_if_empty(drawn == draws->end() ? "" : "not refused; came: " + text_of(*drawn),
                          text_of(draws->front()));
  };
}

class Edges {
 public:
  explicit Edges(const Semantics& semantics) : semantics_(semantics) {}

  void owed(std::string name, std::string law, Row row, Probe probe, bool statistical = false) {
    row.seed = 11;
    for (float& logit : row.logits) logit = rounded(logit, semantics_.dtype);
    checks_.push_back({.name = "edge/" + name,
                       .law = std::move(law),
                       .rows = {std::move(row)},
                       .probe = std::move(probe),
                       .statistical = statistical});
  }

  /// A check of what the semantics declare for this edge; `off` takes the edge out of the row.
  void declared(Edge edge, std::string name, Row row, const AtEdge& at_edge,
                const std::function<void(Row&)>& off = {}) {
    const EdgeRule rule = semantics_.at(edge);
    static constexpr const char* kWords[] = {"is refused", "draws the best token", "is as if not given",
                                             "is left open by the declared semantics"};
    const bool as_off = rule == EdgeRule::off && off;
    owed(name, fmt::format("{} {}", name, kWords[static_cast<int>(rule)]), std::move(row),
         as_off ? fits_as(off) : holds_to(rule, at_edge), as_off);
    checks_.back().promised = rule != EdgeRule::undefined;
  }

  [[nodiscard]] bool has(Step step) const { return semantics_.has(step); }
  [[nodiscard]] const Semantics& semantics() const { return semantics_; }
  [[nodiscard]] std::vector<Check> finish() && { return std::move(checks_); }

 private:
  const Semantics& semantics_;
  std::vector<Check> checks_;
};

const std::vector<float> kFive = {0, 1, 3, 2, -1};

void logit_edges(Edges& edges) {
  const AtEdge has_nan = [](const Row& row) {
    return std::ranges::any_of(row.logits, [](float x) { return std::isnan(x); });
  };
  const AtEdge has_infinity = [](const Row& row) { return std::ranges::count(row.logits, kInfinity) > 0; };
  const AtEdge none_allowed = [](const Row& row) {
    return std::ranges::all_of(row.logits, [](float x) { return x == -kInfinity; });
  };
  edges.declared(Edge::nan_logit, "nan-first", {.logits = {kNan, 1, 3, 2, -1}}, has_nan);
  edges.declared(Edge::nan_logit, "nan-inside", {.logits = {0, 1, kNan, 3, -1}}, has_nan);
  edges.declared(Edge::nan_logit, "nan-last", {.logits = {0, 1, 3, 2, kNan}}, has_nan);
  edges.declared(Edge::plus_infinity, "plus-infinity", {.logits = {0, 1, kInfinity, 2, -1}}, has_infinity);
  edges.declared(Edge::all_forbidden, "all-forbidden", {.logits = std::vector<float>(5, -kInfinity)},
                 none_allowed);
  if (edges.has(Step::top_k))
    edges.declared(Edge::nan_logit, "nan-top-k", {.logits = {0, 1, kNan, 3, -1}, .params = {.top_k = 2}},
                   has_nan);
}

void value_edges(Edges& edges) {
  edges.owed("one-token", "a vocabulary of one has one answer", {.logits = {-3}}, best_token);
  edges.owed("one-allowed", "a single allowed token is drawn always",
             {.logits = {-kInfinity, -kInfinity, -kInfinity, 2, -kInfinity}}, best_token);
  edges.owed("gap-beyond-floats", "a difference that overflows is no tie", {.logits = {0, -3e38F, 3e38F, 1}},
             best_token);
  const auto same = [](Row&) {};
  for (std::size_t vocabulary : {2UL, 3UL, 5UL, 127UL})
    edges.owed(fmt::format("all-equal-{}", vocabulary), "equal logits are equally likely",
               {.logits = std::vector<float>(vocabulary, -2.5F)}, fits_as(same), true);
  edges.owed("all-equal-large", "equal logits are equally likely, however large",
             {.logits = std::vector<float>(5, 3e4F)}, fits_as(same), true);
  edges.owed("denormal-fit", "denormal logits are finite values near 0", {.logits = {1e-40F, 0, -1e-40F}},
             fits_as(same), true);
  if (edges.semantics().at(Edge::temperature_zero) != EdgeRule::greedy) return;
  const Params greedy = {.temperature = 0};
  if (edges.semantics().dtype == Dtype::fp32)
    edges.owed("denormal-order", "denormal logits have an order",
               {.logits = {0, 1e-40F, 3e-40F, 2e-40F}, .params = greedy}, best_token);
  edges.owed("zeros-tie", "-0 and +0 tie", {.logits = {-1, -0.F, 0.F}, .params = greedy}, best_token);
  constexpr float kUlps[] = {0x1p-23F, 0x1p-10F, 0x1p-7F};  // of 1, in the order of Dtype
  const float next = 1 + kUlps[static_cast<int>(edges.semantics().dtype)];
  edges.owed("one-ulp", "a lead of one unit in the last place is a lead",
             {.logits = {1, 1, next, 1}, .params = greedy}, best_token);
  edges.owed("greedy-ties", "ties at the top follow the declared rule",
             {.logits = {0, 4, 1, 4, 4}, .params = greedy}, best_token);
}

void filter_edges(Edges& edges) {
  const std::vector<float> row = typical_logits(23, 5);
  if (edges.has(Step::top_k)) {
    const auto off = [](Row& meant) { meant.params.top_k.reset(); };
    for (std::int32_t k : {23, 24, 1'000'000})
      edges.owed(fmt::format("top-k-{}-of-23", k), "a k that reaches the vocabulary cuts nothing",
                 {.logits = row, .params = {.top_k = k}}, fits_as([](Row& meant) {
                   if (static_cast<std::size_t>(*meant.params.top_k) >= meant.logits.size())
                     meant.params.top_k.reset();
                 }),
                 true);
    edges.owed("top-k-1", "k = 1 draws the best token", {.logits = row, .params = {.top_k = 1}}, best_token);
    edges.declared(
        Edge::top_k_zero, "top-k-0", {.logits = row, .params = {.top_k = 0}},
        [](const Row& r) { return r.params.top_k == 0; }, off);
    edges.declared(
        Edge::top_k_negative, "top-k--1", {.logits = row, .params = {.top_k = -1}},
        [](const Row& r) { return r.params.top_k.value_or(0) < 0; }, off);
  }
  if (edges.has(Step::top_p)) {
    const auto off = [](Row& meant) { meant.params.top_p = 1; };
    edges.owed("top-p-below-1", "the p next below 1 cuts no token heavier than rounding",
               {.logits = kFive, .params = {.top_p = std::nextafter(1.F, 0.F)}}, fits_as(off), true);
    edges.owed("top-p-tiny", "a tiny p draws the best token", {.logits = kFive, .params = {.top_p = 1e-6F}},
               best_token);
    edges.declared(
        Edge::top_p_zero, "top-p-0", {.logits = kFive, .params = {.top_p = 0}},
        [](const Row& r) { return r.params.top_p == 0; }, off);
    edges.declared(
        Edge::top_p_above_one, "top-p-1.5", {.logits = kFive, .params = {.top_p = 1.5F}},
        [](const Row& r) { return r.params.top_p > 1; }, off);
  }
}

void temperature_edges(Edges& edges) {
  if (!edges.has(Step::temperature)) return;
  const auto set = [](float value) { return Params{.temperature = value}; };
  edges.owed("temperature-1e-3", "a low temperature draws the best token",
             {.logits = kFive, .params = set(1e-3F)}, best_token);
  for (const float value : {1e-20F, 1e-40F})
    edges.owed(fmt::format("temperature-{:.0e}", value),
               "as the temperature falls to 0 the best token is drawn, or the row refused",
               {.logits = kFive, .params = set(value)}, best_token_or_refused);
  edges.owed("temperature-1e6", "a high temperature makes tokens equally likely",
             {.logits = kFive, .params = set(1e6F)}, fits_as([](Row&) {}), true);
  edges.declared(Edge::temperature_zero, "temperature-0", {.logits = kFive, .params = set(0)},
                 [](const Row& row) { return row.params.temperature == 0; });
  edges.declared(
      Edge::temperature_negative, "temperature--1", {.logits = kFive, .params = set(-1)},
      [](const Row& row) { return row.params.temperature < 0; },
      [](Row& meant) { meant.params.temperature = 1; });
  edges.declared(
      Edge::temperature_nan, "temperature-nan", {.logits = kFive, .params = set(kNan)},
      [](const Row& row) { return std::isnan(row.params.temperature); },
      [](Row& meant) { meant.params.temperature = 1; });
}

}  // namespace

std::vector<Check> edge_checks(const Semantics& semantics) {
  Edges edges(semantics);
  logit_edges(edges);
  value_edges(edges);
  filter_edges(edges);
  temperature_edges(edges);
  return std::move(edges).finish();
}

}  // namespace truekeel::conformance
