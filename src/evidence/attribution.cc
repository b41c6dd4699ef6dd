// SPDX-License-Identifier: Apache-2.0
#include "evidence/attribution.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "base/assert.h"

namespace truekeel::evidence {
namespace {

// Clean detectors hover about log M = 5. What has no more than that is copied when it first has evidence.
constexpr double kWorthCopying = 6;

// A slice that shares more than this of its evidence with a culprit is judged on what comes later.
constexpr double kSharedMost = 0.5;

// Suspects that are judged in full; bounds the time of a decision.
constexpr std::size_t kRanked = 512;

// Slices that have had the same few items need not be the same slice; less so when only the latest were the
// same, which may all have come from one place.
constexpr std::uint32_t kTellingItems = 12, kTellingItemsLately = 200;

/// log of the number of values that each attribute has in the traffic.
std::array<double, kAttributes> value_costs(const Lattice& lattice) {
  std::array<double, kAttributes> count{};
  lattice.each([&](NodeId node) {
    const Slice& slice = lattice.info(node).slice;
    if (slice.depth() == 1) ++count[static_cast<std::size_t>(slice.term(0).attribute)];
  });
  for (double& c : count) c = std::log(std::max(c, 1.0));
  return count;
}

bool is_peeled(const Lattice& lattice, NodeId node) {
  return std::ranges::find(lattice.peeled(), lattice.info(node).slice) != lattice.peeled().end();
}

/// A slice and the tokens that it has ever had.
struct Name {
  Slice slice;
  std::uint64_t tokens;
};

// Names with little more traffic than the least are alike.
constexpr double kMoreTraffic = 1.05;

/// Of slices with the same traffic the one to act on. A term that takes nothing away from another of them, as
/// the fingerprint that all servers share, is not a part of the name; "everything" is no action at all. Where
/// the traffic is the same of late only, acting on what has had the least disturbs the least.
Slice least_action(std::vector<Name> names) {
  const auto needless = [&, all = names](const Name& name) {
    return std::ranges::any_of(
        all, [&](const Name& other) { return other.slice.depth() > 0 && name.slice.refines(other.slice); });
  };
  std::erase_if(names, needless);
  const auto vague = [](const Name& name) { return !name.slice.names_servers(); };
  if (!std::ranges::all_of(names, vague)) std::erase_if(names, vague);
  const auto least = static_cast<double>(std::ranges::min_element(names, {}, &Name::tokens)->tokens);
  std::erase_if(names,
                [&](const Name& name) { return static_cast<double>(name.tokens) > kMoreTraffic * least; });
  return std::ranges::min_element(names, smaller_action, &Name::slice)->slice;
}

/// How much of the weight of the items that accuse `slice` also accuses `other`.
double shared_weight(std::span<const Accusation> accusing, const Slice& slice, const Slice& other) {
  if (slice.excludes(other)) return 0;
  double all = 0, shared = 0;
  for (const Accusation& item : accusing) {
    if (!slice.holds(item.where)) continue;
    all += static_cast<double>(item.weight);
    if (other.holds(item.where)) shared += static_cast<double>(item.weight);
  }
  return all > 0 ? shared / all : 1;
}

}  // namespace

void Attribution::begin(Lattice& lattice, std::span<const Alarm> alarms, double log_stake) {
  const auto news =
      std::ranges::find_if(alarms, [&](const Alarm& alarm) { return !is_peeled(lattice, alarm.node); });
  if (running() || news == alarms.end()) return;
  log_weights_.assign(lattice.log_weights().begin(), lattice.log_weights().end());
  log_threshold_ = -log_stake;
  alarmed_ = news->at;
  onset_ = news->onset;
  cell_ = news->cell;
  std::vector<std::pair<double, NodeId>> found;
  lattice.each([&](NodeId node) {
    // A mixture is at most its largest member; the sum is only worth its time above that.
    if (*std::ranges::max_element(lattice.log_sr(node)) < log_stake + kWorthCopying) return;
    const double evidence = lattice.log_evidence(node);
    if (evidence >= log_stake + kWorthCopying && !is_peeled(lattice, node))
      found.emplace_back(evidence, node);
  });
  const std::size_t count = std::min(found.size(), settings_.candidates_max / 2);
  std::ranges::partial_sort(found, found.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>());
  found.resize(count);
  value_costs_ = value_costs(lattice);
  for (const auto& [evidence, node] : found) copy(lattice, node);
}

void Attribution::copy(Lattice& lattice, NodeId node) {
  const Slice& slice = lattice.info(node).slice;
  double cost = settings_.log_per_slice;
  for (std::size_t i = 0; i < slice.depth(); ++i)
    cost += settings_.log_per_attribute + value_costs_[static_cast<std::size_t>(slice.term(i).attribute)];
  const auto levels = lattice.log_sr(node);
  const NodeInfo& about = lattice.info(node);
  Suspect suspect{.node = node,
                  .slice = slice,
                  .cost = cost,
                  .items_before = about.items,
                  .traffic_before = about.traffic};
  suspect.log_sr.assign(levels.begin(), levels.end());
  for (std::size_t cell = 0; cell < levels.size(); ++cell) suspect.onset.push_back(lattice.onset(node, cell));
  at_.emplace(node, suspects_.size());
  suspects_.push_back(std::move(suspect));
  lattice.watch(node, true);
}

void Attribution::absorb(Lattice& lattice, NodeId node, std::span<const float> log_factors) {
  if (!running()) return;
  const auto at = at_.find(node);
  if (at == at_.end()) {
    // Had no evidence before. The lattice has multiplied it already.
    const float most = *std::ranges::max_element(lattice.log_sr(node));
    if (most >= kWorthCopying - log_threshold_ && suspects_.size() < settings_.candidates_max &&
        !is_peeled(lattice, node))
      copy(lattice, node);
    return;
  }
  Suspect& suspect = suspects_[at->second];
  for (std::size_t cell = 0; cell < log_factors.size(); ++cell) suspect.log_sr[cell] += log_factors[cell];
  suspect.accusations += log_factors[cell_] > 0;
  suspect.fresh = false;
}

void Attribution::refresh(Suspect& suspect) const {
  if (suspect.fresh) return;
  suspect.log_m = log_evidence(suspect.log_sr, log_weights_) + log_threshold_;
  suspect.score = suspect.log_m - suspect.cost;
  suspect.fresh = true;
}

/// Whether two suspects have the same traffic: all of it; or all since they were copied, and no telling
/// evidence from before. An endpoint and itself with its present fingerprint are one, though it had another
/// fingerprint once.
bool Attribution::same(const Lattice& lattice, const Suspect& a, const Suspect& b) const {
  if (a.node == b.node) return true;
  const NodeInfo &one = lattice.info(a.node), &other = lattice.info(b.node);
  if (one.items >= kTellingItems && other.items >= kTellingItems && one.traffic == other.traffic) return true;
  return one.items - a.items_before >= kTellingItemsLately &&
         other.items - b.items_before >= kTellingItemsLately &&
         one.traffic - a.traffic_before == other.traffic - b.traffic_before &&
         std::abs(a.log_m - b.log_m) < settings_.log_lead;
}

/// The best suspects, one for each traffic.
std::vector<std::size_t> Attribution::ranking(const Lattice& lattice) const {
  std::vector<std::size_t> order(suspects_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](auto a, auto b) {
    return suspects_[a].score != suspects_[b].score ? suspects_[a].score > suspects_[b].score : a < b;
  });
  std::vector<std::size_t> ranked;
  std::unordered_set<std::uint64_t> ever;
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> lately;
  for (const std::size_t i : order) {
    const Suspect& suspect = suspects_[i];
    const NodeInfo& about = lattice.info(suspect.node);
    if (about.items >= kTellingItems && !ever.insert(about.traffic).second) continue;
    auto& alike = lately[about.traffic - suspect.traffic_before];
    if (std::ranges::any_of(alike, [&](auto j) { return same(lattice, suspect, suspects_[j]); })) continue;
    alike.push_back(i);
    ranked.push_back(i);
    if (ranked.size() == kRanked) break;
  }
  return ranked;
}

/// The items that have accused since the onset; before it, whatever accused did so by chance.
std::vector<Accusation> Attribution::accusing(const Lattice& lattice) const {
  std::vector<Accusation> recent(lattice.accusing().begin(), lattice.accusing().end());
  std::erase_if(recent, [&](const Accusation& item) { return item.tick < onset_; });
  return recent;
}

/// The ranked suspects as hypotheses about the accusing items.
std::vector<Hypothesis> Attribution::hypotheses(std::span<const Accusation> accusing,
                                                std::span<const std::size_t> ranked) const {
  std::vector<Hypothesis> result;
  for (const std::size_t i : ranked) {
    const Suspect& suspect = suspects_[i];
    Hypothesis hypothesis{.log_m = suspect.log_m, .cost = suspect.cost, .items = {}};
    hypothesis.items.resize((accusing.size() + 63) / 64);
    for (std::size_t item = 0; item < accusing.size(); ++item)
      if (suspect.slice.holds(accusing[item].where)) hypothesis.items[item / 64] |= 1ull << (item % 64);
    result.push_back(std::move(hypothesis));
  }
  return result;
}

/// Of the suspect's log M, what its leading bet has of items that are not in the other slice, at most.
/// Nothing where no node holds what is in both.
std::optional<double> Attribution::outside(const Lattice& lattice, const Suspect& suspect,
                                           const Slice& other) const {
  if (suspect.slice.excludes(other)) return suspect.log_m;
  const auto both = suspect.slice.both(other);
  const NodeId node = both ? lattice.find(*both) : kNoNode;
  if (node == kNoNode) return std::nullopt;
  const auto at = at_.find(node);
  const auto levels = at == at_.end() ? lattice.log_sr(node) : std::span(suspects_[at->second].log_sr);
  const std::size_t lead = leading_cell(suspect.log_sr, log_weights_);
  const auto inside = std::max(static_cast<double>(levels[lead]), -log_threshold_);
  return std::min(suspect.log_m, static_cast<double>(suspect.log_sr[lead]) - inside);
}

std::optional<Culprit> Attribution::decide(Lattice& lattice, Tick tick) {
  if (!running()) return std::nullopt;
  for (Suspect& suspect : suspects_) refresh(suspect);
  const auto ranked = ranking(lattice);
  const auto items = accusing(lattice);
  std::vector<float> weights;
  for (const Accusation& item : items) weights.push_back(item.weight);
  const auto candidates = hypotheses(items, ranked);
  const Explanation best = explain(candidates, weights, [&](std::size_t a, std::size_t b) {
    return outside(lattice, suspects_[ranked[a]], suspects_[ranked[b]].slice);
  });
  cell_ = leading_cell(suspects_[ranked[best.member[0].hypothesis]].log_sr, log_weights_);
  for (const Explanation::Member& member : std::span(best.member).first(best.size)) {
    const Suspect& suspect = suspects_[ranked[member.hypothesis]];
    if (!convicted(suspect, member)) continue;
    const Culprit culprit = name(lattice, suspect, member.lead, tick);
    peel(lattice, culprit.slice);
    return culprit;
  }
  return std::nullopt;
}

bool Attribution::convicted(const Suspect& suspect, const Explanation::Member& member) const {
  // What other members explain does not count; a slice of which they explain most is not judged yet.
  const double own = (member.added + suspect.cost) / suspect.log_m;
  if (own < 1 - kSharedMost) return false;
  const double evidence = own * suspect.log_m, accusations = own * suspect.accusations;
  const bool alone = evidence >= log_threshold_ && accusations >= settings_.accusations_least &&
                     member.lead >= settings_.log_lead;
  const bool twice =
      evidence >= 2 * log_threshold_ && accusations >= settings_.accusations_enough && member.lead >= 0;
  return alone || twice;
}

Culprit Attribution::name(const Lattice& lattice, const Suspect& suspect, double lead, Tick tick) const {
  Culprit culprit{.slice = suspect.slice, .same_traffic = {}, .log_m = suspect.log_m, .log_lead = lead};
  culprit.cell = leading_cell(suspect.log_sr, log_weights_);
  culprit.onset = suspect.onset[culprit.cell];
  culprit.alarmed = alarmed_;
  culprit.decided = tick;
  std::vector<Name> names;
  for (const Suspect& other : suspects_) {
    if (!same(lattice, suspect, other)) continue;
    names.push_back({other.slice, lattice.info(other.node).tokens});
    culprit.same_traffic.push_back(other.slice);
  }
  culprit.slice = least_action(std::move(names));
  std::erase(culprit.same_traffic, culprit.slice);
  return culprit;
}

void Attribution::peel(Lattice& lattice, const Slice& culprit) {
  // Takes off what the culprit's items gave. Where that is most of the evidence the rest is too uncertain:
  // the slice starts afresh, as it does in the lattice.
  const auto items = accusing(lattice);
  std::vector<double> kept;
  for (const Suspect& suspect : suspects_) {
    const double apart = 1 - shared_weight(items, suspect.slice, culprit);
    const double beyond = outside(lattice, suspect, culprit).value_or(suspect.log_m);
    kept.push_back(apart < kSharedMost ? 0 : std::min(suspect.log_m * apart, beyond));
  }
  std::vector<Suspect> left;
  bool alarming = false;
  for (std::size_t i = 0; i < suspects_.size(); ++i) {
    Suspect& suspect = suspects_[i];
    lattice.watch(suspect.node, false);
    if (kept[i] < kWorthCopying) continue;
    for (float& level : suspect.log_sr) level -= static_cast<float>(suspect.log_m - kept[i]);
    suspect.fresh = false;
    alarming = alarming || kept[i] >= log_threshold_;
    left.push_back(std::move(suspect));
  }
  lattice.peel(culprit);
  suspects_.clear();
  at_.clear();
  if (!alarming) return;
  suspects_ = std::move(left);
  for (std::size_t i = 0; i < suspects_.size(); ++i) {
    at_.emplace(suspects_[i].node, i);
    lattice.watch(suspects_[i].node, true);
  }
}

std::optional<Slice> Attribution::leader() const {
  const auto by_score = [](const Suspect& a, const Suspect& b) { return a.score < b.score; };
  const auto lead = std::ranges::max_element(suspects_, by_score);
  return lead == suspects_.end() ? std::nullopt : std::optional(lead->slice);
}

void Attribution::end(Lattice& lattice) {
  for (const Suspect& suspect : suspects_) lattice.watch(suspect.node, false);
  suspects_.clear();
  at_.clear();
}

}  // namespace truekeel::evidence
