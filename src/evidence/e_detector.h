// SPDX-License-Identifier: Apache-2.0
// The Shiryaev-Roberts e-detector over a mixture of bets, with an e-CUSUM beside each bet that dates the
// onset. Source: Shin, Ramdas, Rinaldo, "E-detectors", 2023. Thread safety: a detector serves one thread.
//
// A detector is updated once per window (a flush, see tick.h). Its value G obeys
//     at the first item of a window, before its factor:   G_j <- G_j + stake
//     for every item, in order of emission:               G_j <- G_j * E_j
//     at the flush:                                       alarm when G = sum_j weight_j * G_j >= 1
// and an alarm sets every G_j to 0. The stake is the part of the false-alarm budget that this window spends:
// expected false alarms <= expected sum of the stakes, at every stopping time, whatever other detectors do
// (docs/evidence.md, theorem 1). With a constant stake 1/A, G = M / A for the M of the literature.
//
// Invariant: everything is rounded down by more than single precision can have rounded up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "evidence/log_math.h"

namespace truekeel::evidence {

/// Number of a flush since the epoch of the detectors; 34 years of 250 ms.
using Tick = std::uint32_t;

/// The state of one detector, one entry per cell of the mixture; the memory is the caller's.
struct CellsView {
  std::span<float> log_sr;     ///< log G_j
  std::span<float> log_cusum;  ///< log of the e-CUSUM, never below 0 at the start of a window
  std::span<Tick> onset;       ///< window at which that CUSUM last started afresh
};

/// A detector that has seen nothing.
void clear(CellsView cells, Tick tick);

/// Starts a window: adds the stake. Requires: log_stake <= 0; kLogZero for none.
void begin_window(CellsView cells, float log_stake, Tick tick);

/// Multiplies by the factors of the items of this window, given as summed logarithms, one per cell.
void multiply(CellsView cells, std::span<const float> log_factors);

/// Sets every G_j to 0 and leaves the CUSUM, so that the onset stays known.
void reset_after_alarm(CellsView cells);

/// log G of the mixture; the detector alarms when it is >= 0.
[[nodiscard]] double log_evidence(std::span<const float> log_sr, std::span<const float> log_weights);

/// True exactly when log_evidence >= 0; cheap where it is far below.
[[nodiscard]] bool alarms(std::span<const float> log_sr, std::span<const float> log_weights);

/// The cell with the largest share of the evidence.
[[nodiscard]] std::size_t leading_cell(std::span<const float> log_sr, std::span<const float> log_weights);

/// One detector that owns its memory, for signals without slices, tests and simulations.
class Detector {
 public:
  /// `log_weights`: of the mixture; their exponentials sum to at most 1.
  explicit Detector(std::span<const float> log_weights);

  /// One window with the given factors; true when it alarms, and then starts afresh.
  [[nodiscard]] bool update(std::span<const float> log_factors, double log_stake, Tick tick);

  [[nodiscard]] double log_evidence() const;
  /// The estimated first window of the change, by the CUSUM of the leading cell; at an alarm, of that alarm.
  [[nodiscard]] Tick onset() const { return onset_of_lead_; }

 private:
  CellsView view() { return {log_sr_, log_cusum_, onset_}; }

  std::vector<float> log_weights_, log_sr_, log_cusum_;
  std::vector<Tick> onset_;
  Tick onset_of_lead_ = 0;
};

}  // namespace truekeel::evidence
