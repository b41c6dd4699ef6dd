// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "conformance/sampler.h"

namespace truekeel::conformance {

bool Semantics::has(Step step) const { return std::ranges::count(chain, step) > 0; }

EdgeRule Semantics::at(Edge edge) const {
  const auto found = edges.find(edge);
  return found == edges.end() ? EdgeRule::undefined : found->second;
}

}  // namespace truekeel::conformance
