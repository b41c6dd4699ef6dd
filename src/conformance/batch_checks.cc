// SPDX-License-Identifier: Apache-2.0
// Batch laws: what a row draws depends on nothing else in its batch.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "conformance/cases.h"
#include "conformance/reference.h"
#include "conformance/rows.h"

namespace truekeel::conformance {
namespace {

constexpr std::uint64_t kSteps = 8;
// Odd, so that no vector or shard width divides it.
constexpr std::size_t kVocabulary = 97;

Seen equal(const std::string& difference, const std::string& fine) {
  return {.holds = difference.empty(), .what = difference.empty() ? fine : difference};
}

/// Every seeded row draws alone what it draws in this batch: slot, size and neighbours at once.
Result<Seen> alone_equals_together(Session& session, std::span<const Row> rows) {
  const auto alone = draw_alone(session, rows, kSteps);
  if (!alone) return std::unexpected(alone.error());
  const auto together = draw_together(session, rows, kSteps);
  if (!together) return std::unexpected(together.error());
  std::string off = difference(rows, *alone, *together);
  if (!off.empty()) off = "alone and then in the batch, " + off;
  return equal(off, fmt::format("{} rows draw alone what they draw together", rows.size()));
}

Result<Seen> order_does_not_matter(Session& session, std::span<const Row> rows) {
  const auto forward = draw_together(session, rows, kSteps);
  if (!forward) return std::unexpected(forward.error());
  const std::vector<Row> reversed(rows.rbegin(), rows.rend());
  auto backward = draw_together(session, reversed, kSteps);
  if (!backward) return std::unexpected(backward.error());
  std::ranges::reverse(*backward);
  std::string off = difference(rows, *forward, *backward);
  if (!off.empty()) off = "in order and then reversed, " + off;
  return equal(off, "the batch draws the same in reverse");
}

/// A token 40 nats above all others is drawn always. Its loss has probability below e^-30 a draw.
Result<Seen> best_is_drawn(Session& session, std::span<const Row> rows) {
  const auto drawn = draw_together(session, rows, kSteps);
  if (!drawn) return std::unexpected(drawn.error());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto& logits = rows[row].logits;
    const auto best = std::ranges::max_element(logits);
    const auto tops = std::ranges::count_if(logits, [&](float logit) { return logit > *best - 40; });
    if (tops != 1) continue;
    for (const Draw& draw : (*drawn)[row])
      if (!draw || *draw != best - logits.begin())
        return Seen{.holds = false,
                    .what = fmt::format("row {} of {}: token {}, 40 nats above the rest, lost to {}", row,
                                        rows.size(), best - logits.begin(),
                                        draw ? std::to_string(*draw) : draw.error())};
  }
  return Seen{.what = fmt::format("the best token is drawn in each of {} rows", rows.size())};
}

std::vector<Row> peaked_rows(const Semantics& semantics, std::size_t count) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < count; ++i) {
    Row row{.logits = std::vector<float>(kVocabulary, -44), .seed = i};
    row.logits[(i * 41 + 11) % kVocabulary] = 0;
    row.logits[(i * 41 + 12) % kVocabulary] = -40;
    if (i % 2 == 1 && semantics.has(Step::top_k)) row.params.top_k = 4;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::size_t> sizes(const Semantics& semantics) {
  std::vector<std::size_t> result;
  for (std::size_t size : {2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65})
    if (size <= semantics.batch_max) result.push_back(size);
  return result;
}

std::vector<Row> with_unseeded(std::vector<Row> rows) {
  for (std::size_t i = 1; i < rows.size(); i += 2) rows[i].seed.reset();
  return rows;
}

/// Plain rows, and one that filters: the others must not notice.
std::vector<Row> with_filter(const Semantics& semantics) {
  std::vector<Row> rows = mixed_rows(semantics, 4, kVocabulary);
  for (Row& row : rows) {
    row.params = {};
    row.history.clear();
  }
  if (semantics.has(Step::top_k)) rows[2].params.top_k = 3;
  return rows;
}

std::vector<Row> with_nan(std::vector<Row> rows) {
  rows[1].logits[kVocabulary / 3] = std::numeric_limits<float>::quiet_NaN();
  return rows;
}

}  // namespace

std::vector<Check> batch_checks(const Semantics& semantics) {
  std::vector<Check> checks;
  const bool repeatable = semantics.seeding != Seeding::none || semantics.injects;
  const auto add = [&](std::string name, std::string law, std::vector<Row> rows, Probe probe) {
    checks.push_back({.name = "batch/" + name,
                      .law = std::move(law),
                      .rows = std::move(rows),
                      .probe = std::move(probe),
                      .promised = semantics.batch_invariant});
  };
  const std::string alone = "a row draws in a batch what it draws alone";
  for (std::size_t size : sizes(semantics)) {
    checks.push_back({.name = fmt::format("batch/best-{}", size),
                      .law = "the most probable token is never lost, at any batch size",
                      .rows = peaked_rows(semantics, size),
                      .probe = best_is_drawn});
    if (repeatable)
      add(fmt::format("size-{}", size), alone + ", whatever slot and size",
          mixed_rows(semantics, size, kVocabulary), alone_equals_together);
  }
  if (semantics.batch_max < 4 || !repeatable) return checks;
  const std::vector<Row> four = mixed_rows(semantics, 4, kVocabulary);
  add("order", "the order of a batch does not matter", four, order_does_not_matter);
  if (semantics.seeding != Seeding::none)
    add("unseeded-neighbour", alone + ", beside rows without a seed", with_unseeded(four),
        alone_equals_together);
  add("filtering-neighbour", alone + ", beside a row that filters", with_filter(semantics),
      alone_equals_together);
  if (semantics.at(Edge::nan_logit) == EdgeRule::refused)
    add("refused-neighbour", alone + ", beside a row that is refused", with_nan(four), alone_equals_together);
  return checks;
}

}  // namespace truekeel::conformance
