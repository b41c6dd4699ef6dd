// SPDX-License-Identifier: Apache-2.0
// Compares two vectors of logprobs for the same context, where no sampling noise exists: one distance, and
// a threshold that clean pairs pass with a known small rate. Source: split conformal prediction (Vovk et
// al. 2005); the bound on the rate that holds for all later items is the beta law of the order statistic.
// Thread safety: pure functions and values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"

namespace truekeel::evidence {

/// Mean absolute difference over the entries. Entry i of both belongs to the same token.
/// Requires: equal sizes, not empty, finite entries.
[[nodiscard]] double mean_distance(std::span<const float> served, std::span<const float> reference);

struct DistanceThreshold {
  double distance = 0;        ///< a flag is a distance above this
  double null_rate = 1;       ///< clean items are flagged at most at this rate, with the confidence below
  double confidence = 0;      ///< over the choice of the calibration items
  std::uint64_t samples = 0;  ///< clean items that it was calibrated on

  bool operator==(const DistanceThreshold&) const = default;
};

/// The smallest threshold whose null rate is at most u with this confidence: one of the largest clean
/// distances. Error::invalid_argument when there are fewer than 1 / u items, or too few for the confidence
/// (ln(1 / (1 - confidence)) / u suffice); the message says how many are needed.
[[nodiscard]] Result<DistanceThreshold> conformal_threshold(std::vector<double> clean_distances, double u,
                                                            double confidence);

}  // namespace truekeel::evidence
