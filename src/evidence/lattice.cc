// SPDX-License-Identifier: Apache-2.0
#include "evidence/lattice.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/assert.h"

namespace truekeel::evidence {
namespace {

constexpr std::size_t kIndexLeast = 1024;

// Single attributes are always born: the last sixteenth of the room is theirs.
constexpr std::size_t room_for(std::size_t depth, std::size_t nodes_max) {
  return depth <= 1 ? nodes_max : nodes_max - nodes_max / 16;
}

constexpr int kClientsShown = 5;
constexpr std::uint32_t kItemsShown = 15;

// log of 20: under the null at most one item in 20 accuses under a given bet.
constexpr float kAccuses = 3;

std::uint64_t tag_of(std::uint64_t entry) {  // SplitMix64
  std::uint64_t x = entry * 0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

int FewDistinct::at_least() const { return std::popcount(bits_); }

void RecentAccusations::add(const Accusation& item) {
  if (items_.size() < kMost) return items_.push_back(item);
  items_[next_] = item;
  next_ = (next_ + 1) % kMost;
}

void RecentAccusations::move(const Slice& slice, RecentAccusations& to) {
  std::ranges::rotate(items_, items_.begin() + static_cast<std::ptrdiff_t>(next_));
  next_ = 0;
  for (const Accusation& item : items_)
    if (slice.holds(item.where)) to.add(item);
  std::erase_if(items_, [&](const Accusation& item) { return slice.holds(item.where); });
}

std::size_t Lattice::CoordinatesHash::operator()(const Coordinates& where) const {
  std::uint64_t hash = 0;
  for (const ValueId value : where.value) hash = tag_of(hash ^ value);
  return hash;
}

Lattice::Lattice(std::span<const float> log_weights, const LatticeSettings& settings)
    : log_weights_(log_weights.begin(), log_weights.end()),
      settings_(settings),
      index_(kIndexLeast, kNoNode) {
  TK_ASSERT(!log_weights.empty() && settings.nodes_max >= 16 && settings.nodes_max < kNoNode);
}

void Lattice::add(const Coordinates& where, const Item& item) {
  const std::size_t cells = log_weights_.size();
  TK_ASSERT(item.log_factors.size() == cells);
  const auto [at, is_new] = waiting_at_.try_emplace(where, waiting_.size());
  if (is_new) {
    waiting_.emplace_back().where = where;
    waiting_sums_.resize(waiting_sums_.size() + cells, 0.0f);
  }
  Waiting& entry = waiting_[at->second];
  float* const sums = waiting_sums_.data() + at->second * cells;
  float most = kLogZero;
  for (std::size_t i = 0; i < cells; ++i) {
    sums[i] += item.log_factors[i];
    most = std::max(most, item.log_factors[i]);
  }
  ++entry.items;
  entry.tokens += item.tokens;
  entry.answers += item.begins;
  entry.clients.add(item.client);
  if (most >= kAccuses)
    waiting_accusing_.push_back({.where = where, .weight = most, .session = item.session});
  waiting_tokens_ += item.tokens;
}

void Lattice::remember_accusing(Tick tick) {
  for (Accusation& item : waiting_accusing_) {
    item.tick = tick;
    const auto holds = [&](const Slice& slice) { return slice.holds(item.where); };
    (std::ranges::any_of(peeled_, holds) ? accusing_peeled_ : accusing_).add(item);
  }
  waiting_accusing_.clear();
}

FewDistinct Lattice::accusers(const Slice& slice, Tick since) const {
  FewDistinct sessions;
  for (const RecentAccusations* recent : {&accusing_, &accusing_peeled_})
    for (const Accusation& item : recent->items())
      if (item.tick >= since && slice.holds(item.where)) sessions.add(item.session);
  return sessions;
}

std::vector<Alarm> Lattice::flush(Tick tick, double log_stake, LatticeObserver* observer) {
  const std::size_t cells = log_weights_.size();
  touched_.clear();
  for (std::size_t i = 0; i < waiting_.size(); ++i)
    enter(waiting_[i], std::span(waiting_sums_).subspan(i * cells, cells), tick,
          static_cast<float>(log_stake), observer);
  waiting_.clear();
  waiting_sums_.clear();
  waiting_at_.clear();
  waiting_tokens_ = 0;
  remember_accusing(tick);

  std::vector<Alarm> found;
  for (const NodeId node : touched_) {
    const auto levels = log_sr(node);
    if (!evidence::alarms(levels, log_weights_)) continue;
    const std::size_t lead = leading_cell(levels, log_weights_);
    found.push_back({.node = node,
                     .slice = info(node).slice,
                     .log_evidence = log_evidence(node),
                     .cell = lead,
                     .onset = onset(node, lead),
                     .at = tick});
  }
  return found;
}

void Lattice::enter(const Waiting& entry, std::span<const float> sums, Tick tick, float log_stake,
                    LatticeObserver* observer) {
  const std::uint64_t tag = tag_of(entries_++);
  bool is_peeled = false;
  for (const Slice& slice : peeled_) {
    if (!slice.holds(entry.where)) continue;
    is_peeled = true;
    if (const NodeId node = find_or_make(slice, tick); node != kNoNode)
      touch(node, entry, sums, tag, tick, log_stake, observer);
  }
  if (is_peeled) return;
  for (const std::uint16_t set : attribute_sets()) {
    std::array<Slice::Term, Slice::kDepthMax> terms;
    std::size_t depth = 0;
    bool known = true;
    for (std::uint32_t rest = set; rest != 0; rest &= rest - 1) {
      const auto attribute = static_cast<Attribute>(std::countr_zero(rest));
      terms[depth++] = {attribute, entry.where[attribute]};
      known = known && entry.where[attribute] != 0;
    }
    if (!known) continue;
    if (const NodeId node = find_or_make(Slice({terms.data(), depth}), tick); node != kNoNode)
      touch(node, entry, sums, tag, tick, log_stake, observer);
  }
}

void Lattice::touch(NodeId node, const Waiting& entry, std::span<const float> sums, std::uint64_t tag,
                    Tick tick, float log_stake, LatticeObserver* observer) {
  Page& home = page(node);
  NodeInfo& about = home.info[node % kPage];
  const CellsView state = cells(node);
  if (about.last != tick) {
    begin_window(state, log_stake, tick);
    touched_.push_back(node);
    about.last = tick;
  }
  multiply(state, sums);
  about.items += std::min(entry.items, std::numeric_limits<std::uint32_t>::max() - about.items);
  about.tokens += entry.tokens;
  about.answers += entry.answers;
  about.traffic += tag;
  about.clients.add(entry.clients);
  if (observer) observer->absorb(*this, node, sums);
}

void Lattice::reset(std::span<const Alarm> alarms) {
  for (const Alarm& alarm : alarms) reset_after_alarm(cells(alarm.node));
}

void Lattice::peel(const Slice& slice) {
  if (std::ranges::find(peeled_, slice) != peeled_.end()) return;
  peeled_.push_back(slice);
  accusing_.move(slice, accusing_peeled_);
  each([&](NodeId node) {
    const Slice& other = info(node).slice;
    if (other != slice && !other.excludes(slice)) clear(cells(node), info(node).last);
  });
}

void Lattice::unpeel(const Slice& slice) { std::erase(peeled_, slice); }

std::span<const float> Lattice::log_sr(NodeId node) const {
  const std::size_t cells = log_weights_.size();
  return std::span(page(node).levels).subspan(node % kPage * 2 * cells, cells);
}

std::span<const float> Lattice::log_cusum(NodeId node) const {
  const std::size_t cells = log_weights_.size();
  return std::span(page(node).levels).subspan((node % kPage * 2 + 1) * cells, cells);
}

Tick Lattice::onset(NodeId node, std::size_t cell) const {
  return page(node).onsets[node % kPage * log_weights_.size() + cell];
}

CellsView Lattice::cells(NodeId node) {
  const std::size_t cells = log_weights_.size(), slot = node % kPage;
  const std::span levels(page(node).levels);
  return {levels.subspan(slot * 2 * cells, cells), levels.subspan((slot * 2 + 1) * cells, cells),
          std::span(page(node).onsets).subspan(slot * cells, cells)};
}

bool Lattice::may_be_shown(NodeId node) const {
  const NodeInfo& about = info(node);
  return !about.slice.client_derived() ||
         (about.clients.at_least() >= kClientsShown && about.items >= kItemsShown);
}

NodeId Lattice::find(const Slice& slice) const {
  const std::size_t mask = index_.size() - 1;
  for (std::size_t at = slice.hash() & mask; index_[at] != kNoNode; at = (at + 1) & mask)
    if (info(index_[at]).slice == slice) return index_[at];
  return kNoNode;
}

NodeId Lattice::find_or_make(const Slice& slice, Tick tick) {
  const std::uint64_t hash = slice.hash();
  const std::size_t mask = index_.size() - 1;
  for (std::size_t at = hash & mask; index_[at] != kNoNode; at = (at + 1) & mask)
    if (info(index_[at]).slice == slice) return index_[at];
  return make(slice, hash, tick);
}

NodeId Lattice::make(const Slice& slice, std::uint64_t hash, Tick tick) {
  const std::size_t room = room_for(slice.depth(), settings_.nodes_max);
  if (nodes_ >= room && (last_sweep_ == 0 || tick - last_sweep_ >= settings_.sweep_every)) roll_up_rare(tick);
  if (nodes_ >= room) {
    ++refused_;
    return kNoNode;
  }
  NodeId node = slots_;
  if (free_.empty()) {
    if (slots_ % kPage == 0) pages_.push_back(std::make_unique<Page>(log_weights_.size()));
    ++slots_;
  } else {
    node = free_.back();
    free_.pop_back();
  }
  Page& home = page(node);
  NodeInfo& about = home.info[node % kPage] = {};
  about.slice = slice;
  about.first = tick;
  about.last = tick - 1;  // so that its first item opens a window
  home.live[node % kPage] = true;
  home.watched[node % kPage] = false;
  clear(cells(node), tick);
  ++nodes_;
  if (2 * nodes_ > index_.size())
    rebuild_index(2 * index_.size());
  else
    index(node, hash);
  return node;
}

void Lattice::index(NodeId node, std::uint64_t hash) {
  const std::size_t mask = index_.size() - 1;
  std::size_t at = hash & mask;
  while (index_[at] != kNoNode) at = (at + 1) & mask;
  index_[at] = node;
}

void Lattice::rebuild_index(std::size_t size) {
  index_.assign(size, kNoNode);
  each([&](NodeId node) { index(node, info(node).slice.hash()); });
}

void Lattice::roll_up_rare(Tick tick) {
  last_sweep_ = tick;
  // The deepest slices with the least traffic per time; the young have had no time yet, and nodes that this
  // window has touched already are in use.
  const auto rare = [&](NodeId node) {
    const NodeInfo& about = info(node);
    return static_cast<double>(about.tokens) / (tick - about.first + 1.0);
  };
  std::vector<NodeId> candidates;
  each([&](NodeId node) {
    const NodeInfo& about = info(node);
    if (about.slice.depth() >= 2 && about.last != tick && !page(node).watched[node % kPage] &&
        tick - about.first >= settings_.sweep_every)
      candidates.push_back(node);
  });
  const std::size_t count = std::min(candidates.size(), settings_.nodes_max / 16 + 1);
  const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(count);
  std::ranges::partial_sort(candidates, end, [&](NodeId a, NodeId b) {
    const std::size_t depth_a = info(a).slice.depth(), depth_b = info(b).slice.depth();
    if (depth_a != depth_b) return depth_a > depth_b;
    const double rate_a = rare(a), rate_b = rare(b);
    return rate_a != rate_b ? rate_a < rate_b : a < b;
  });
  for (auto at = candidates.begin(); at != end; ++at) {
    page(*at).live[*at % kPage] = false;
    free_.push_back(*at);
  }
  nodes_ -= count;
  rolled_up_ += count;
  rebuild_index(index_.size());
}

std::size_t Lattice::bytes() const {
  const std::size_t cells = log_weights_.size();
  const std::size_t page_bytes = sizeof(Page) + cells * kPage * (2 * sizeof(float) + sizeof(Tick));
  return pages_.size() * page_bytes + pages_.capacity() * sizeof(void*) + index_.capacity() * sizeof(NodeId) +
         free_.capacity() * sizeof(NodeId) + touched_.capacity() * sizeof(NodeId) +
         waiting_sums_.capacity() * sizeof(float) + waiting_.capacity() * sizeof(Waiting);
}

}  // namespace truekeel::evidence
