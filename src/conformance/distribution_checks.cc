// SPDX-License-Identifier: Apache-2.0
// Goodness of fit: draws of one row against its exact distribution.
#include "conformance/cases.h"
#include "conformance/fit.h"

namespace truekeel::conformance {

std::vector<Check> distribution_checks(const Semantics& semantics) {
  std::vector<Check> checks;
  for (Case& one : distribution_cases(semantics))
    checks.push_back(
        {.name = "distribution/" + one.name,
         .law = "draws follow the row's exact distribution (looks for " + one.why + ")",
         .rows = {std::move(one.row)},
         .probe = [exact = one.exact](Session& session, std::span<const Row> rows) -> Result<Seen> {
           if (!exact && !is_clear(rows.front(), session.semantics()))
             return Seen{.what = "rounding may decide this row"};
           return draw_and_fit(session, rows.front(), rows.front());
         },
         .statistical = true,
         .shrinkable = !one.exact});
  return checks;
}

}  // namespace truekeel::conformance
