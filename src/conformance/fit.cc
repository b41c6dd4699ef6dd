// SPDX-License-Identifier: Apache-2.0
#include "conformance/fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace truekeel::conformance {
namespace {

/// The cell whose share is off the most, in words.
std::string worst_cell(std::span<const std::uint64_t> counts, const Cells& cells, std::uint64_t draws) {
  const auto expected = [&](std::size_t cell) {
    return cells.probability[cell] * static_cast<double>(draws);
  };
  const auto pull = [&](std::size_t cell) {
    const double deviation = static_cast<double>(counts[cell]) - expected(cell);
    return deviation * deviation / expected(cell);
  };
  std::size_t worst = 0;
  for (std::size_t cell = 1; cell < counts.size(); ++cell)
    if (pull(cell) > pull(worst)) worst = cell;
  const auto size = std::ranges::count(cells.of_token, worst);
  const auto first = std::ranges::find(cells.of_token, worst) - cells.of_token.begin();
  return fmt::format(
      "{} drawn {} times in {}, expected {:.1f}",
      size == 1 ? fmt::format("token {}", first) : fmt::format("{} tokens from id {} on", size, first),
      counts[worst], draws, expected(worst));
}

/// Of the heaviest cell and, where it differs, of the lightest. A single cell has nothing to find.
std::vector<PowerAt> power_of(const Cells& cells, std::uint64_t draws, double limit) {
  if (cells.probability.size() < 2) return {};
  const auto [light, heavy] = std::ranges::minmax(cells.probability);
  std::vector<PowerAt> result = {{heavy, power(heavy, draws, limit)}};
  constexpr double kDistinct = 0.99;
  if (light < kDistinct * heavy) result.push_back({light, power(light, draws, limit)});
  return result;
}

/// The test itself: counts against cells.
Seen compare(const Session& session, const Cells& cells, std::span<const std::uint64_t> counts) {
  const std::uint64_t draws = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  const double x = divergence(counts, cells.probability);
  const double limit = threshold(cells.probability.size(), session.options().alpha_each);
  Seen seen{.holds = cells.probability.size() < 2 || x < limit,
            .log10_p = log_p_bound(x, cells.probability.size()) / std::log(10.0),
            .power = power_of(cells, draws, limit)};
  seen.what = seen.holds ? fmt::format("{} draws in {} cells fit", draws, cells.probability.size())
                         : worst_cell(counts, cells, draws);
  return seen;
}

/// What no statistic is needed for; empty if nothing is wrong.
std::string certain_fault(const Reference& exact, const Tally& tally) {
  const std::uint64_t draws = std::accumulate(tally.counts.begin(), tally.counts.end(), tally.refused);
  if (tally.refused > 0)
    return fmt::format("refused {} of {} draws: {}", tally.refused, draws, tally.refusal);
  for (std::size_t id = 0; id < tally.counts.size(); ++id)
    if (tally.counts[id] > 0 && exact.probability[id] == 0 &&
        std::ranges::count(exact.tied, static_cast<TokenId>(id)) == 0)
      return fmt::format("token {} has weight 0 and was drawn {} times in {}", id, tally.counts[id], draws);
  const auto stay = static_cast<std::uint64_t>(
      std::ranges::count_if(exact.tied, [&](TokenId id) { return tally.counts[id] > 0; }));
  if (stay > exact.tied_kept)
    return fmt::format("{} of {} tokens tied at the cut stay, {} should", stay, exact.tied.size(),
                       exact.tied_kept);
  return {};
}

}  // namespace

Seen fit(const Session& session, const Reference& exact, const Tally& tally) {
  if (std::string fault = certain_fault(exact, tally); !fault.empty()) return {.holds = false, .what = fault};
  const std::uint64_t draws = std::accumulate(tally.counts.begin(), tally.counts.end(), std::uint64_t{0});
  const Cells cells = pool(exact.probability, exact.tied, draws);
  std::vector<std::uint64_t> counts(cells.probability.size());
  for (std::size_t id = 0; id < tally.counts.size(); ++id)
    if (tally.counts[id] > 0) counts[cells.of_token[id]] += tally.counts[id];
  return compare(session, cells, counts);
}

Result<Seen> draw_and_fit(Session& session, const Row& drawn, const Row& meant) {
  const auto tally = session.tally(drawn, session.options().draws);
  if (!tally) return std::unexpected(tally.error());
  return fit(session, reference(meant, session.semantics()), *tally);
}

Seen fit_pairs(const Session& session, const Reference& exact,
               std::span<const std::pair<TokenId, TokenId>> pairs) {
  // A handful of groups: their joint cells are few, and dependence shows in coarse groups too.
  constexpr std::uint32_t kGroups = 4;
  std::vector<std::uint32_t> group(exact.probability.size());
  std::vector<double> mass(kGroups);
  double sum = 0;
  for (std::size_t id = 0; id < group.size(); ++id) {
    group[id] = std::min(kGroups - 1, static_cast<std::uint32_t>(sum * kGroups));
    sum += exact.probability[id];
    mass[group[id]] += exact.probability[id];
  }
  Cells cells;
  std::vector<std::uint32_t> cell_of(kGroups * kGroups, Cells::kImpossible);
  for (std::uint32_t i = 0; i < cell_of.size(); ++i) {
    const double joint = mass[i / kGroups] * mass[i % kGroups];
    if (joint == 0) continue;
    cell_of[i] = static_cast<std::uint32_t>(cells.probability.size());
    cells.probability.push_back(joint);
  }
  cells.of_token = cell_of;
  std::vector<std::uint64_t> counts(cells.probability.size());
  for (const auto& [first, second] : pairs) {
    const std::uint32_t cell = cell_of[group[first] * kGroups + group[second]];
    if (cell == Cells::kImpossible) return {.holds = false, .what = "a token of weight 0 was drawn"};
    ++counts[cell];
  }
  Seen seen = compare(session, cells, counts);
  if (!seen.holds)
    seen.what = fmt::format("{} pairs are not independent: divergence {:.1f} nats over {} joint cells",
                            pairs.size(), divergence(counts, cells.probability), counts.size());
  return seen;
}

}  // namespace truekeel::conformance
