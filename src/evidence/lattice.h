// SPDX-License-Identifier: Apache-2.0
// One detector per slice that has traffic: the conjunctions of at most three attributes of each item, 232
// an item. Thread safety: a lattice serves one thread.
//
// Invariants: at most `nodes_max` nodes live; a node's window starts with the stake that was fixed before
// it; the order of updates is the order of add(). Rare conjunctions that find no room have no node of their
// own: their items stay in all the shallower slices that hold them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "evidence/e_detector.h"
#include "evidence/slice.h"

namespace truekeel::evidence {

using NodeId = std::uint32_t;
inline constexpr NodeId kNoNode = ~0u;

/// A set of which only the size matters, and only up to a few dozen: a lower bound by distinct bits.
class FewDistinct {
 public:
  void add(std::uint64_t keyed_hash) { bits_ |= 1ull << (keyed_hash & 63); }
  void add(FewDistinct other) { bits_ |= other.bits_; }
  /// At least so many different ones were added.
  [[nodiscard]] int at_least() const;

  [[nodiscard]] std::uint64_t bits() const { return bits_; }
  static FewDistinct from_bits(std::uint64_t bits) { return FewDistinct(bits); }
  FewDistinct() = default;

 private:
  explicit FewDistinct(std::uint64_t bits) : bits_(bits) {}
  std::uint64_t bits_ = 0;
};

/// A part of one answer between two flushes.
struct Item {
  std::span<const float> log_factors;  ///< summed over its tokens, one per cell
  std::uint32_t tokens = 0;
  bool begins = true;         ///< it is the first part of its answer
  std::uint64_t client = 0;   ///< keyed hash of the client
  std::uint64_t session = 0;  ///< keyed hash of the affinity key
};

/// What is known of a slice beside its detector.
struct NodeInfo {
  Slice slice;
  Tick first = 0, last = 0;  ///< first and last window with an item
  std::uint32_t items = 0;   ///< saturates
  std::uint64_t tokens = 0;
  std::uint64_t answers = 0;  ///< that began here
  std::uint64_t traffic = 0;  ///< equal sums of item tags: equal traffic since both were born
  FewDistinct clients = {};
};

/// An item that was much likelier under some bet than under the null.
struct Accusation {
  Coordinates where;
  float weight = 0;           ///< its largest log factor
  Tick tick = 0;              ///< the window that it entered
  std::uint64_t session = 0;  ///< keyed hash of the affinity key
};

/// The last accusing items, in no order.
class RecentAccusations {
 public:
  static constexpr std::size_t kMost = 4096;

  void add(const Accusation& item);
  /// The items of this slice go over to another list.
  void move(const Slice& slice, RecentAccusations& to);
  [[nodiscard]] std::span<const Accusation> items() const { return items_; }

 private:
  std::vector<Accusation> items_;  // a ring once it is full
  std::size_t next_ = 0;           // the oldest of a full ring
};

struct Alarm {
  NodeId node = kNoNode;
  Slice slice;
  double log_evidence = 0;  ///< log of G: 0 is the threshold
  std::size_t cell = 0;     ///< the bet that leads
  Tick onset = 0, at = 0;   ///< estimated first window, and the window of the alarm
};

class Lattice;

/// Sees what happens inside a flush; see attribution.h.
class LatticeObserver {
 public:
  virtual ~LatticeObserver() = default;
  /// A node has been multiplied by these factors. May watch() it, and change nothing else.
  virtual void absorb(Lattice& lattice, NodeId node, std::span<const float> log_factors) = 0;
};

struct LatticeSettings {
  std::size_t nodes_max = 1u << 20;
  /// A full lattice looks for rare nodes to roll up at most this often: a minute of windows that end by the
  /// clock, less under load.
  Tick sweep_every = 240;
};

class Lattice {
 public:
  /// log_weights: of the mixture, one per cell.
  Lattice(std::span<const float> log_weights, const LatticeSettings& settings = {});

  /// Adds an item to the window that is filled now.
  void add(const Coordinates& where, const Item& item);
  [[nodiscard]] std::uint64_t waiting_tokens() const { return waiting_tokens_; }

  /// Ends the window: updates every touched node once and returns the alarms. The alarming detectors keep
  /// their evidence until reset(), so that it can be copied.
  [[nodiscard]] std::vector<Alarm> flush(Tick tick, double log_stake, LatticeObserver* observer = nullptr);
  /// Detectors that the last flush updated: what it has cost of the budget.
  [[nodiscard]] std::size_t touched() const { return touched_.size(); }

  void reset(std::span<const Alarm> alarms);

  /// From now on, items of this slice count in the slice itself and nowhere else; every slice that may share
  /// items with it starts afresh.
  void peel(const Slice& slice);
  /// Ends that: the slice is healthy again.
  void unpeel(const Slice& slice);
  [[nodiscard]] std::span<const Slice> peeled() const { return peeled_; }

  [[nodiscard]] NodeId find(const Slice& slice) const;
  [[nodiscard]] const NodeInfo& info(NodeId node) const { return page(node).info[node % kPage]; }
  [[nodiscard]] std::span<const float> log_sr(NodeId node) const;
  [[nodiscard]] std::span<const float> log_cusum(NodeId node) const;
  [[nodiscard]] double log_evidence(NodeId node) const {
    return evidence::log_evidence(log_sr(node), log_weights_);
  }
  [[nodiscard]] Tick onset(NodeId node, std::size_t cell) const;
  [[nodiscard]] std::span<const float> log_weights() const { return log_weights_; }

  /// Calls f(NodeId) for every live node.
  template <class F>
  void each(F&& f) const {
    for (NodeId node = 0; node < slots_; ++node)
      if (page(node).live[node % kPage]) f(node);
  }

  /// A watched node is not rolled up.
  void watch(NodeId node, bool on) { page(node).watched[node % kPage] = on; }

  /// False for slices with client-derived attributes and fewer than 5 clients or 15 items.
  [[nodiscard]] bool may_be_shown(NodeId node) const;

  /// The last accusing items that are not peeled off; for attribution. In memory alone.
  [[nodiscard]] std::span<const Accusation> accusing() const { return accusing_.items(); }
  /// The sessions of the slice's accusing items that entered since this window, as far as remembered.
  [[nodiscard]] FewDistinct accusers(const Slice& slice, Tick since) const;

  [[nodiscard]] std::size_t nodes() const { return nodes_; }
  [[nodiscard]] std::size_t bytes() const;                          ///< memory held
  [[nodiscard]] std::uint64_t refused() const { return refused_; }  ///< births for which there was no room
  [[nodiscard]] std::uint64_t rolled_up() const { return rolled_up_; }

 private:
  friend class LatticeSnapshot;

  static constexpr std::size_t kPage = 256;
  struct Page {
    explicit Page(std::size_t cells) : levels(2 * cells * kPage), onsets(cells * kPage) {}
    std::vector<float> levels;  // per node: log SR of each cell, then log CUSUM of each cell
    std::vector<Tick> onsets;
    std::array<NodeInfo, kPage> info;
    std::array<bool, kPage> live = {}, watched = {};
  };
  struct Waiting {
    Coordinates where;
    std::uint32_t items = 0;
    std::uint64_t tokens = 0, answers = 0;
    FewDistinct clients = {};
  };
  struct CoordinatesHash {
    std::size_t operator()(const Coordinates& where) const;
  };

  Page& page(NodeId node) { return *pages_[node / kPage]; }
  [[nodiscard]] const Page& page(NodeId node) const { return *pages_[node / kPage]; }
  CellsView cells(NodeId node);
  void remember_accusing(Tick tick);
  void enter(const Waiting& entry, std::span<const float> sums, Tick tick, float log_stake,
             LatticeObserver* observer);
  void touch(NodeId node, const Waiting& entry, std::span<const float> sums, std::uint64_t tag, Tick tick,
             float log_stake, LatticeObserver* observer);
  NodeId find_or_make(const Slice& slice, Tick tick);
  NodeId make(const Slice& slice, std::uint64_t hash, Tick tick);
  void roll_up_rare(Tick tick);
  void index(NodeId node, std::uint64_t hash);
  void rebuild_index(std::size_t size);

  std::vector<float> log_weights_;
  LatticeSettings settings_;
  std::vector<std::unique_ptr<Page>> pages_;
  std::vector<NodeId> free_;
  std::vector<NodeId> index_;  // open addressing by slice, linear probing; its size is a power of two
  std::vector<Slice> peeled_;
  std::vector<NodeId> touched_;
  std::vector<Waiting> waiting_;
  std::vector<float> waiting_sums_;
  std::unordered_map<Coordinates, std::size_t, CoordinatesHash> waiting_at_;
  std::uint64_t waiting_tokens_ = 0;
  std::vector<Accusation> waiting_accusing_;  // of the window that is filled now
  RecentAccusations accusing_, accusing_peeled_;
  std::uint64_t entries_ = 0;  // numbers the tags of traffic
  NodeId slots_ = 0;
  std::size_t nodes_ = 0;
  Tick last_sweep_ = 0;
  std::uint64_t refused_ = 0, rolled_up_ = 0;
};

}  // namespace truekeel::evidence
