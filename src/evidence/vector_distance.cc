// SPDX-License-Identifier: Apache-2.0
#include "evidence/vector_distance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/assert.h"
#include "evidence/confidence.h"

namespace truekeel::evidence {

double mean_distance(std::span<const float> served, std::span<const float> reference) {
  TK_ASSERT(served.size() == reference.size() && !served.empty());
  double sum = 0;
  for (std::size_t i = 0; i < served.size(); ++i)
    sum += std::abs(static_cast<double>(served[i]) - static_cast<double>(reference[i]));
  return sum / static_cast<double>(served.size());
}

Result<DistanceThreshold> conformal_threshold(std::vector<double> clean_distances, double u,
                                              double confidence) {
  TK_ASSERT(u > 0 && u < 1 && confidence > 0 && confidence < 1);
  const std::uint64_t samples = clean_distances.size();
  // With `above` clean items above the threshold, the rate of flags exceeds the upper bound for `above`
  // events with probability 1 - confidence at most, whatever the law of the distances.
  if (samples == 0 || rate_upper_bound(0, samples, confidence) > u) {
    const double needed = std::ceil(std::log(1 - confidence) / std::log1p(-u));
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} clean items are too few for a null rate of {} at confidence {}; give {:.0f}",
                            samples, u, confidence, std::max(needed, std::ceil(1 / u))));
  }
  std::uint64_t above = 0;
  while (above + 1 < samples && rate_upper_bound(above + 1, samples, confidence) <= u) ++above;
  const auto threshold = clean_distances.begin() + static_cast<std::ptrdiff_t>(above);
  std::ranges::nth_element(clean_distances, threshold, std::greater<>());
  return DistanceThreshold{.distance = *threshold,
                           .null_rate = rate_upper_bound(above, samples, confidence),
                           .confidence = confidence,
                           .samples = samples};
}

}  // namespace truekeel::evidence
