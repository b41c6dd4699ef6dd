// SPDX-License-Identifier: Apache-2.0
// Holds many draws against the exact distribution: many_draws COUNT (100000000 for the figure in
// docs/selection.md). Draws by (seed, position) through the library; every token's count against its exact
// share. Exit code 1 when the odds of such counts are below 1e-6.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "select/reference.h"
#include "select/select.h"
#include "select/weight.h"

namespace truekeel::select {
namespace {

constexpr std::uint32_t kTokens = 300;

/// Shares from a fifth down to 1e-7, in no order of ids.
std::vector<float> make_row() {
  std::vector<float> row(kTokens);
  for (std::uint32_t id = 0; id < kTokens; ++id)
    row[id] = -14 * static_cast<float>(id * 7919 % kTokens) / static_cast<float>(kTokens);
  return row;
}

/// The exact shares of what is kept: found by the intervals of one draw each.
std::vector<double> shares(const std::vector<float>& row, const Params& params) {
  std::vector<double> exact(row.size());
  std::uint64_t next = 0, total = 0;
  do {  // a point at every interval's beginning
    const auto bits =
        total == 0 ? 0 : static_cast<std::uint64_t>(((static_cast<uint128>(next) << 64) + total - 1) / total);
    const Choice choice = reference_select({row.data(), kTokens, DType::f32}, params, {bits}).value();
    total = choice.kept_weight;
    exact[choice.id] = static_cast<double>(choice.end - choice.begin) / static_cast<double>(total);
    next = choice.end;
  } while (next < total);
  return exact;
}

/// Prints the divergence and a bound of its odds; false when these are below 1e-6. The bound holds for every
/// number of draws and cells: R. Agrawal, IEEE Trans. Inf. Theory 2020, theorem I.2.
bool hold_against(const char* name, const Params& params, std::uint64_t draws, std::uint64_t seed) {
  const std::vector<float> row = make_row();
  const std::vector<double> exact = shares(row, params);
  std::vector<std::uint64_t> counts(kTokens);
  Workspace workspace(kTokens);
  for (std::uint64_t position = 0; position < draws; ++position)
    ++counts[select({row.data(), kTokens, DType::f32}, params, Draw::at(seed, position), workspace)->id];
  double divergence = 0, worst = 0;
  int cells = 0;
  bool possible = true;
  for (std::uint32_t id = 0; id < kTokens; ++id) {
    const auto count = static_cast<double>(counts[id]), expected = exact[id] * static_cast<double>(draws);
    if (exact[id] == 0) {
      possible = possible && counts[id] == 0;
      continue;
    }
    ++cells;
    if (count > 0) divergence += count * std::log(count / expected);
    if (expected >= 10) worst = std::max(worst, std::fabs(count - expected) / std::sqrt(expected));
  }
  const double freedom = cells - 1;
  const double log_bound =
      divergence > freedom ? -divergence + freedom * (1 + std::log(divergence / freedom)) : 0;
  std::printf(
      "%s: %llu draws, %d tokens, n KL %.1f (expected %.1f), worst token %.2f standard errors, odds at most "
      "%.2g\n",
      name, static_cast<unsigned long long>(draws), cells, divergence, freedom / 2, worst,
      std::exp(log_bound));
  return possible && log_bound > std::log(1e-6);
}

}  // namespace
}  // namespace truekeel::select

int main(int argc, char** argv) {
  using truekeel::select::hold_against;
  const std::uint64_t draws = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
  if (draws == 0) {
    std::fputs("usage: many_draws COUNT\n", stderr);
    return 2;
  }
  const bool whole = hold_against("temperature .9", {.temperature = 0.9f}, draws / 2, 1);
  const bool filtered =
      hold_against("top-k 100, top-p .99", {.top_k = 100, .top_p = 0.99}, draws - draws / 2, 2);
  return whole && filtered ? 0 : 1;
}
