// SPDX-License-Identifier: Apache-2.0
// From an alarm to the slice that causes it. Thread safety: serves the thread of its lattice.
//
// At an alarm the detectors with evidence are copied; the copies go on with every factor but get no further
// stake and no reset. Copied slices are hypotheses, judged by log M less the cost of naming them: deep slices
// and attributes with many values have many more rivals that fit by chance.
//
// A culprit is a slice of the best explanation (explanation.h) once every explanation without it is behind by
// a factor of 1000; or, when its rivals differ too little to tell, once M >= A^2 and many items have spoken.
// Evidence alone does not decide: one bad answer may hold any amount of it and points to all 232 slices
// alike. Nor do items from before the onset: chance has accused the fleet alike. Slices with the same traffic
// are one culprit, named by the smallest action. Then it is peeled off: slices that may share its items start
// afresh without them, and the rest is judged again.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "evidence/explanation.h"
#include "evidence/lattice.h"

namespace truekeel::evidence {

struct AttributionSettings {
  double log_lead = 6.907755;    ///< log 1000
  double log_per_attribute = 2;  ///< cost of an attribute, beside the logarithm of the number of its values
  double log_per_slice = 8;  ///< cost of a further slice in an explanation: each M also sums over its onsets
  /// Parts of answers with evidence since the alarm, needed before anything is named, and after which twice
  /// the threshold decides.
  double accusations_least = 6, accusations_enough = 200;
  std::size_t candidates_max = 1u << 15;
};

struct Culprit {
  Slice slice;
  std::vector<Slice> same_traffic;  ///< other names of the same traffic
  double log_m = 0;                 ///< log M at the decision
  double log_lead = 0;              ///< over the best explanation without its traffic
  std::size_t cell = 0;             ///< the bet that leads
  Tick onset = 0, alarmed = 0, decided = 0;
};

class Attribution final : public LatticeObserver {
 public:
  explicit Attribution(const AttributionSettings& settings = {}) : settings_(settings) {}

  /// True from an alarm until nothing is left to name.
  [[nodiscard]] bool running() const { return !suspects_.empty(); }

  /// To be told of the alarms of each flush, before they are reset. The first alarm of a slice that is not
  /// peeled copies the lattice as it stands and watches it.
  void begin(Lattice& lattice, std::span<const Alarm> alarms, double log_stake);

  void absorb(Lattice& lattice, NodeId node, std::span<const float> log_factors) override;

  /// To be asked after each flush. Names a culprit, at most one a call, and peels it off the lattice.
  [[nodiscard]] std::optional<Culprit> decide(Lattice& lattice, Tick tick);

  /// The slice that leads now; for display, and to raise the share of its requests that are looked at.
  [[nodiscard]] std::optional<Slice> leader() const;

  /// Gives up, for instance when the traffic has gone.
  void end(Lattice& lattice);

 private:
  struct Suspect {
    NodeId node;
    Slice slice;
    double cost;
    std::uint32_t items_before = 0;    // of its node when it was copied
    std::uint64_t traffic_before = 0;  // likewise
    double log_m = 0, score = 0;       // score = log M - cost
    bool fresh = false;                // log_m and score are up to date
    std::uint32_t accusations = 0;
    std::vector<float> log_sr = {};
    std::vector<Tick> onset = {};
  };
  void copy(Lattice& lattice, NodeId node);
  void refresh(Suspect& suspect) const;
  [[nodiscard]] bool same(const Lattice& lattice, const Suspect& a, const Suspect& b) const;
  [[nodiscard]] std::vector<std::size_t> ranking(const Lattice& lattice) const;
  [[nodiscard]] std::vector<Accusation> accusing(const Lattice& lattice) const;
  [[nodiscard]] std::vector<Hypothesis> hypotheses(std::span<const Accusation> accusing,
                                                   std::span<const std::size_t> ranked) const;
  [[nodiscard]] std::optional<double> outside(const Lattice& lattice, const Suspect& suspect,
                                              const Slice& other) const;
  [[nodiscard]] bool convicted(const Suspect& suspect, const Explanation::Member& member) const;
  [[nodiscard]] Culprit name(const Lattice& lattice, const Suspect& suspect, double lead, Tick tick) const;
  void peel(Lattice& lattice, const Slice& culprit);

  AttributionSettings settings_;
  std::vector<float> log_weights_;
  double log_threshold_ = 0;
  Tick alarmed_ = 0;
  Tick onset_ = 0;        // of the alarm that began the search
  std::size_t cell_ = 0;  // the bet that leads
  std::array<double, kAttributes> value_costs_ = {};
  std::vector<Suspect> suspects_;
  std::unordered_map<NodeId, std::size_t> at_;
};

}  // namespace truekeel::evidence
