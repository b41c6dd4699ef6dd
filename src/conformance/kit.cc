// SPDX-License-Identifier: Apache-2.0
#include "conformance/kit.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "conformance/shrink.h"

namespace truekeel::conformance {
namespace {

/// Draws times vocabulary spent on making one statistical failure small.
constexpr double kShrinkWorkMax = 1e9;

struct Judged {
  Status status;
  Seen seen;
  std::optional<ErrorCode> broke = {};  ///< the sampler gave no draws at all
};

Judged judge(const Check& check, Session& session, std::span<const Row> rows) {
  Result<Seen> seen = check.probe(session, rows);
  if (!seen) {
    const bool slow = seen.error().code == ErrorCode::timeout;
    const Status status = slow ? Status::undecided : check.promised ? Status::failed : Status::observed;
    return {status, {.holds = false, .what = seen.error().message}, seen.error().code};
  }
  if (!check.promised) return {Status::observed, std::move(*seen)};
  return {seen->holds ? Status::passed : Status::failed, std::move(*seen)};
}

/// Makes the failure small, and tells what the smallest example shows. A wrong draw must stay a wrong draw:
/// smaller rows may break a sampler in another way.
void minimise(Outcome& outcome, const Judged& first, const Check& check, Session& session,
              const Options& options) {
  // A statistical probe is thousands of draws: few of them on large rows.
  const double work = static_cast<double>(options.draws * check.rows.front().logits.size());
  const std::size_t budget = check.statistical
                                 ? static_cast<std::size_t>(std::min(50.0, kShrinkWorkMax / work))
                                 : options.shrink_budget;
  const StillFails fails = [&](std::span<const Row> rows) {
    const Judged judged = judge(check, session, rows);
    return judged.status == Status::failed && judged.broke == first.broke;
  };
  outcome.example = shrink(check.rows, fails, budget);
  const Judged smallest = judge(check, session, outcome.example);
  if (smallest.status == Status::failed && smallest.broke == first.broke)
    outcome.seen = smallest.seen;
  else
    outcome.example = check.rows;
}

}  // namespace

std::size_t Report::count(Status status) const {
  return static_cast<std::size_t>(std::ranges::count(outcomes, status, &Outcome::status));
}

std::vector<Check> plan(const Semantics& semantics, std::string_view only) {
  std::vector<Check> checks;
  for (const auto family :
       {enumeration_checks, distribution_checks, independence_checks, batch_checks, law_checks, edge_checks})
    for (Check& check : family(semantics))
      if (check.name.find(only) != std::string::npos) checks.push_back(std::move(check));
  return checks;
}

Report run(Sampler& sampler, const Options& options,
           const std::function<void(std::size_t, std::size_t, std::string_view)>& progress) {
  Report report{.semantics = sampler.semantics(), .options = options};
  const std::vector<Check> checks = plan(report.semantics, options.only);
  const auto tests = std::ranges::count_if(checks, &Check::statistical);
  // Bonferroni: every test has its share, used or not. Shrinking only repeats a test that has failed.
  report.alpha_each = options.alpha / static_cast<double>(std::max<std::ptrdiff_t>(tests, 1));
  Session session(sampler, {.seed = options.seed, .draws = options.draws, .alpha_each = report.alpha_each});
  for (std::size_t i = 0; i < checks.size(); ++i) {
    const Check& check = checks[i];
    if (progress) progress(i, checks.size(), check.name);
    const std::uint64_t before = session.drawn();
    Judged judged = judge(check, session, check.rows);
    Outcome outcome{
        .name = check.name, .law = check.law, .status = judged.status, .seen = std::move(judged.seen)};
    outcome.draws = session.drawn() - before;
    if (outcome.status == Status::failed) {
      outcome.example = check.rows;
      // A process that died would have to start again for each smaller example.
      const bool died = judged.broke == ErrorCode::unavailable;
      if (options.shrink && check.shrinkable && !died) minimise(outcome, judged, check, session, options);
    }
    report.outcomes.push_back(std::move(outcome));
  }
  return report;
}

std::string_view name_of(Status status) {
  switch (status) {
    case Status::passed:
      return "passed";
    case Status::failed:
      return "failed";
    case Status::observed:
      return "observed";
    case Status::undecided:
      return "undecided";
  }
  return "";
}

}  // namespace truekeel::conformance
