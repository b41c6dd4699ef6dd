// SPDX-License-Identifier: Apache-2.0
#include "conformance/rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "conformance/cases.h"

namespace truekeel::conformance {
namespace {

std::string text_of(const Draw& draw) {
  return draw ? fmt::format("token {}", *draw) : fmt::format("refused ({})", draw.error());
}

bool same(const Draw& left, const Draw& right) {
  return left.has_value() == right.has_value() && (!left || *left == *right);
}

}  // namespace

Result<Drawn> draw_together(Session& session, std::span<const Row> rows, std::uint64_t steps,
                            const std::function<void(Call&)>& arrange) {
  Call call{.rows = {rows.begin(), rows.end()}, .steps = steps};
  if (arrange) arrange(call);
  const auto draws = session.draw(std::move(call));
  if (!draws) return std::unexpected(draws.error());
  Drawn drawn(rows.size());
  for (std::size_t i = 0; i < draws->size(); ++i) drawn[i % rows.size()].push_back((*draws)[i]);
  return drawn;
}

Result<Drawn> draw_alone(Session& session, std::span<const Row> rows, std::uint64_t steps) {
  Drawn drawn;
  for (const Row& row : rows) {
    auto one = draw_together(session, {&row, 1}, steps);
    if (!one) return one;
    drawn.push_back(std::move(one->front()));
  }
  return drawn;
}

std::string difference(std::span<const Row> rows, const Drawn& left, const Drawn& right,
                       std::size_t allowed) {
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (!rows[row].seed) continue;
    for (std::size_t step = 0; step < left[row].size(); ++step)
      if (!same(left[row][step], right[row][step]) && allowed-- == 0)
        return fmt::format("row {} at step {}: {}, then {}", row, step, text_of(left[row][step]),
                           text_of(right[row][step]));
  }
  return {};
}

std::vector<Row> mixed_rows(const Semantics& semantics, std::size_t count, std::size_t vocabulary) {
  const auto id = [&](std::size_t i) { return static_cast<TokenId>(i % vocabulary); };
  std::vector<Row> rows;
  for (std::size_t i = 0; i < count; ++i) {
    Row row{.logits = typical_logits(vocabulary, 1000 + i), .seed = 77 * i + 5, .position = i % 3};
    Params& params = row.params;
    if (i % 2 == 1 && semantics.has(Step::temperature)) params.temperature = 2;
    if (i % 4 == 1 && semantics.has(Step::top_k)) params.top_k = 12;
    if (i % 4 == 2 && semantics.has(Step::top_p)) params.top_p = .8F;
    if (i % 8 == 5 && semantics.has(Step::min_p)) params.min_p = .02F;
    // The likeliest token: another row's history in its place shows in most draws.
    const TokenId best = id(std::ranges::max_element(row.logits) - row.logits.begin());
    row.history = {best, best, id(5 * i + 1)};
    if (i % 3 > 0 && semantics.has(Step::penalties)) {
      params.presence = 2;
      params.frequency = 1;
    }
    if (i % 5 == 4 && semantics.has(Step::bias)) params.bias = {{id(7 * i), 4.F}};
    if (i % 4 == 3 && semantics.at(Edge::temperature_zero) == EdgeRule::greedy) params.temperature = 0;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace truekeel::conformance
