// SPDX-License-Identifier: Apache-2.0
// Independence: draws that have nothing to do with each other must not know of each other.
#include <algorithm>

#include "conformance/cases.h"
#include "conformance/fit.h"

namespace truekeel::conformance {
namespace {

using Pairs = std::vector<std::pair<TokenId, TokenId>>;

// Small enough for one line to another process, large enough to make calls few.
constexpr std::uint64_t kChunk = 4096;

/// Adds (first, second) of each two draws that stand together.
Result<bool> append_pairs(Pairs& pairs, const Result<std::vector<Draw>>& draws) {
  if (!draws) return std::unexpected(draws.error());
  for (std::size_t i = 0; i + 1 < draws->size(); i += 2) {
    const Draw &first = (*draws)[i], &second = (*draws)[i + 1];
    if (!first || !second)
      return fail(ErrorCode::invalid_argument, "refused: " + (first ? second : first).error());
    pairs.emplace_back(*first, *second);
  }
  return true;
}

/// Draws calls from `make` until there are half as many pairs as a test has draws, and fits them.
template <class Make>
Result<Seen> fit_made(Session& session, const Row& row, const Make& make) {
  Pairs pairs;
  while (pairs.size() < session.options().draws / 2)
    if (const auto added = append_pairs(pairs, session.draw(make())); !added)
      return std::unexpected(added.error());
  return fit_pairs(session, reference(row, session.semantics()), pairs);
}

Result<Seen> consecutive(Session& session, std::span<const Row> rows) {
  Row row = rows.front();
  row.seed = session.fresh();
  return fit_made(session, rows.front(), [&] {
    Call call{.rows = {row}, .steps = kChunk};
    row.position += kChunk;
    if (session.semantics().seeding == Seeding::stream) row.seed = session.fresh();
    return call;
  });
}

/// Two equal rows in one batch, `seeded` each with a seed of its own or with none.
Result<Seen> side_by_side(Session& session, std::span<const Row> rows, bool seeded) {
  std::uint64_t position = 0;
  return fit_made(session, rows.front(), [&] {
    Call call{.rows = {rows.front(), rows.front()}, .steps = kChunk / 2};
    for (Row& row : call.rows) {
      row.position = std::exchange(position, position + (seeded ? 0 : kChunk));
      if (seeded) row.seed = session.fresh();
    }
    return call;
  });
}

/// One draw of each of many seeds in a row; neighbours make the pairs.
Result<Seen> neighbouring_seeds(Session& session, std::span<const Row> rows) {
  std::uint64_t seed = session.fresh();
  const std::uint64_t at_once = std::clamp<std::uint64_t>(session.semantics().batch_max & ~1U, 1, 64);
  Pairs pairs;
  std::vector<Draw> draws;
  while (draws.size() < session.options().draws / 4 * 2) {
    Call call;
    for (std::uint64_t i = 0; i < at_once; ++i) {
      call.rows.push_back(rows.front());
      call.rows.back().seed = seed++;
    }
    const auto drawn = session.draw(std::move(call));
    if (!drawn) return std::unexpected(drawn.error());
    draws.insert(draws.end(), drawn->begin(), drawn->end());
  }
  if (const auto added = append_pairs(pairs, draws); !added) return std::unexpected(added.error());
  return fit_pairs(session, reference(rows.front(), session.semantics()), pairs);
}

}  // namespace

std::vector<Check> independence_checks(const Semantics& semantics) {
  const auto cases = distribution_cases(semantics);
  const Row& row = std::ranges::find(cases, "eight", &Case::name)->row;
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::string law, Probe probe) {
    checks.push_back({.name = "independence/" + name,
                      .law = std::move(law),
                      .rows = {row},
                      .probe = std::move(probe),
                      .statistical = true,
                      .shrinkable = false});
  };
  const bool seeded = semantics.seeding != Seeding::none;
  add("consecutive", "a draw does not depend on the draw before it", consecutive);
  if (seeded)
    add("seeds", "one draw from each of many neighbouring seeds fits, and seeds are independent",
        neighbouring_seeds);
  if (semantics.batch_max > 1) {
    if (seeded)
      add("batch-seeded", "equal rows with different seeds in one batch are drawn independently",
          [](Session& session, std::span<const Row> rows) { return side_by_side(session, rows, true); });
    add("batch-unseeded", "equal rows without seeds in one batch are drawn independently",
        [](Session& session, std::span<const Row> rows) { return side_by_side(session, rows, false); });
  }
  return checks;
}

}  // namespace truekeel::conformance
