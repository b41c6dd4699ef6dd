// SPDX-License-Identifier: Apache-2.0
// Which few slices explain the evidence best? Thread safety: pure functions.
//
// A hypothesis says that one slice is faulty; its log M is how much likelier the record is if it alone is,
// and its cost what naming it takes. Hypotheses stand together for several faults, but evidence that two of
// them share counts once: it is the share of the one's accusing items that the other holds too. Without sets,
// two faulty endpoints would convict the pool that holds both.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace truekeel::evidence {

struct Hypothesis {
  double log_m = 0;
  double cost = 0;
  std::vector<std::uint64_t> items;  ///< bit i: it holds accusing item i
};

struct Explanation {
  static constexpr std::size_t kMembersMax = 3;

  struct Member {
    std::size_t hypothesis = 0;
    double added = 0;  ///< evidence that it explains beside the members before it, less its cost
    double lead = 0;   ///< of the explanation over the best one without this member
  };
  std::array<Member, kMembersMax> member = {};
  std::size_t size = 0;
  double score = 0;  ///< sum of what the members add
};

/// outside(a, b): the log M of what hypothesis a holds and b does not, at most; nothing where unknown.
using OutsideEvidence = std::function<std::optional<double>(std::size_t a, std::size_t b)>;

/// Requires: hypotheses not empty, by falling log_m - cost; each has a bit for every item. Greedy, from each
/// of the best few: cost O(32 * 3 * hypotheses * items / 64), and as many calls of `outside` as pairs.
[[nodiscard]] Explanation explain(std::span<const Hypothesis> hypotheses, std::span<const float> item_weights,
                                  const OutsideEvidence& outside);

}  // namespace truekeel::evidence
