// SPDX-License-Identifier: Apache-2.0
#include "evidence/explanation.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/assert.h"

namespace truekeel::evidence {
namespace {

constexpr std::size_t kStarts = 32;

class Explainer {
 public:
  Explainer(std::span<const Hypothesis> hypotheses, std::span<const float> weights,
            const OutsideEvidence& outside)
      : hypotheses_(hypotheses), weights_(weights), outside_(outside) {
    for (const Hypothesis& hypothesis : hypotheses)
      weight_.push_back(weight(hypothesis.items, hypothesis.items));
  }

  [[nodiscard]] double score(std::size_t i) const { return hypotheses_[i].log_m - hypotheses_[i].cost; }

  /// What `candidate` adds beside `others`.
  [[nodiscard]] double gain(std::size_t candidate, std::span<const std::size_t> others) const {
    const Hypothesis& hypothesis = hypotheses_[candidate];
    double shared = 0, left = hypothesis.log_m;
    for (const std::size_t other : others) {
      if (weight_[candidate] > 0)
        shared += weight(hypothesis.items, hypotheses_[other].items) / weight_[candidate];
      else
        shared = 1;  // its items are forgotten; then it may not claim to be a fault of its own
    }
    left *= 1 - std::min(shared, 1.0);
    // What costs more is asked where it can still matter.
    double known = hypothesis.log_m;
    for (std::size_t i = 0; i < others.size() && std::min(left, known) > hypothesis.cost; ++i)
      if (const auto outside = outside_(candidate, others[i])) known -= hypothesis.log_m - *outside;
    return std::min(left, known) - hypothesis.cost;
  }

  [[nodiscard]] Explanation grow(std::size_t start) const {
    Explanation result{
        .member = {{{.hypothesis = start, .added = score(start)}}}, .size = 1, .score = score(start)};
    std::vector<std::size_t> members = {start};
    while (result.size < Explanation::kMembersMax) {
      Explanation::Member next;
      for (std::size_t candidate = 0; candidate < hypotheses_.size() && score(candidate) > next.added;
           ++candidate)
        if (const double more = gain(candidate, members); more > next.added) next = {candidate, more};
      if (next.added <= 0) break;
      members.push_back(next.hypothesis);
      result.member[result.size++] = next;
      result.score += next.added;
    }
    return result;
  }

  /// The best that can be said without one member: a rival in its place, beside what the others then still
  /// add.
  [[nodiscard]] double best_without(const Explanation& best, std::size_t dropped) const {
    double most = -std::numeric_limits<double>::infinity();
    std::vector<std::size_t> members;
    for (std::size_t rival = 0; rival < hypotheses_.size(); ++rival) {
      if (rival == best.member[dropped].hypothesis) continue;
      double total = score(rival);
      members = {rival};
      for (std::size_t i = 0; i < best.size; ++i) {
        const std::size_t other = best.member[i].hypothesis;
        if (i == dropped || other == rival) continue;
        const double more = gain(other, members);
        if (more <= 0) continue;
        total += more;
        members.push_back(other);
      }
      most = std::max(most, total);
    }
    return most;
  }

 private:
  [[nodiscard]] double weight(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) const {
    double sum = 0;
    for (std::size_t word = 0; word < a.size(); ++word)
      for (std::uint64_t both = a[word] & b[word]; both != 0; both &= both - 1)
        sum += static_cast<double>(weights_[word * 64 + static_cast<std::size_t>(std::countr_zero(both))]);
    return sum;
  }

  std::span<const Hypothesis> hypotheses_;
  std::span<const float> weights_;
  const OutsideEvidence& outside_;
  std::vector<double> weight_;  // of all items of each hypothesis
};

}  // namespace

Explanation explain(std::span<const Hypothesis> hypotheses, std::span<const float> item_weights,
                    const OutsideEvidence& outside) {
  TK_ASSERT(!hypotheses.empty());
  const Explainer explainer(hypotheses, item_weights, outside);
  Explanation best;
  for (std::size_t start = 0; start < std::min(kStarts, hypotheses.size()); ++start) {
    const Explanation now = explainer.grow(start);
    if (best.size == 0 || now.score > best.score) best = now;
  }
  for (std::size_t i = 0; i < best.size; ++i) {
    best.member[i].lead = best.score - explainer.best_without(best, i);
  }
  return best;
}

}  // namespace truekeel::evidence
