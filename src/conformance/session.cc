// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "conformance/check.h"

namespace truekeel::conformance {

bool Session::repeatable() const { return semantics_.seeding != Seeding::none || semantics_.injects; }

void Session::inject(Call& call) {
  for (std::uint64_t step = 0; step < call.steps; ++step)
    for (const Row& row : call.rows)
      call.uniforms.push_back(row.seed ? philox_bits(*row.seed, row.position + step, 0) : fresh());
}

Result<std::vector<Draw>> Session::draw(Call call) {
  if (semantics_.injects && semantics_.seeding == Seeding::none && call.uniforms.empty()) inject(call);
  Result<std::vector<Draw>> draws = sampler_.draw(call);
  if (!draws) return draws;
  drawn_ += draws->size();
  if (draws->size() != call.steps * call.rows.size())
    return fail(ErrorCode::internal, fmt::format("{} draws came back for {} steps of {} rows", draws->size(),
                                                 call.steps, call.rows.size()));
  for (std::size_t i = 0; i < draws->size(); ++i) {
    const std::size_t row = i % call.rows.size(), vocabulary = call.rows[row].logits.size();
    const Draw& one = (*draws)[i];
    if (one && (*one < 0 || static_cast<std::size_t>(*one) >= vocabulary))
      return fail(ErrorCode::internal,
                  fmt::format("row {} drew token {}, outside its vocabulary of {}", row, *one, vocabulary));
  }
  return draws;
}

Result<Tally> Session::tally(Row row, std::uint64_t draws) {
  // Bounds the memory of one call, the length of one line to another process and the time to its answer.
  constexpr std::uint64_t kStepsMax = 8192, kWorkMax = std::uint64_t{1} << 26;
  const std::uint64_t steps_max = std::clamp<std::uint64_t>(kWorkMax / row.logits.size(), 1, kStepsMax);
  Tally tally{std::vector<std::uint64_t>(row.logits.size()), 0, {}};
  row.position = 0;
  if (repeatable()) row.seed = fresh();
  for (std::uint64_t done = 0; done < draws;) {
    const std::uint64_t steps = std::min(draws - done, steps_max);
    Call call{.rows = {row}, .steps = steps};
    const Result<std::vector<Draw>> drawn = draw(std::move(call));
    if (!drawn) return std::unexpected(drawn.error());
    for (const Draw& one : *drawn) {
      if (one) {
        ++tally.counts[*one];
      } else if (tally.refused++ == 0) {
        tally.refusal = one.error();
      }
    }
    done += steps;
    row.position += steps;
    if (semantics_.seeding == Seeding::stream) row.seed = fresh();
  }
  return tally;
}

}  // namespace truekeel::conformance
