// SPDX-License-Identifier: Apache-2.0
#include "evidence/e_detector.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace truekeel::evidence {
namespace {

// Taken off each update: absolute errors of softplus and of a sum below 64 stay under the first, rounding of
// larger sums under the second. Together they cost nothing next to a factor, and make G a lower bound.
constexpr float kRoundedDown = 1e-5f;
constexpr float kRoundedDownRelative = 1e-6f;

}  // namespace

void clear(CellsView cells, Tick tick) {
  std::ranges::fill(cells.log_sr, kLogZero);
  std::ranges::fill(cells.log_cusum, 0.0f);
  std::ranges::fill(cells.onset, tick);
}

void begin_window(CellsView cells, float log_stake, Tick tick) {
  const std::size_t count = cells.log_sr.size();
  float* const sr = cells.log_sr.data();
  float* const cusum = cells.log_cusum.data();
  Tick* const onset = cells.onset.data();
  if (log_stake > kLogZero)
    for (std::size_t i = 0; i < count; ++i) sr[i] = log_stake + softplus(sr[i] - log_stake);
  for (std::size_t i = 0; i < count; ++i) {
    const bool afresh = cusum[i] <= 0;
    onset[i] = afresh ? tick : onset[i];
    cusum[i] = afresh ? 0.0f : cusum[i];
  }
}

void multiply(CellsView cells, std::span<const float> log_factors) {
  TK_ASSERT(log_factors.size() == cells.log_sr.size());
  const std::size_t count = log_factors.size();
  float* const sr = cells.log_sr.data();
  float* const cusum = cells.log_cusum.data();
  for (std::size_t i = 0; i < count; ++i) {
    const float factor = log_factors[i];
    sr[i] += factor - kRoundedDown - kRoundedDownRelative * std::max(factor, -factor);
    cusum[i] += factor;
  }
}

void reset_after_alarm(CellsView cells) { std::ranges::fill(cells.log_sr, kLogZero); }

double log_evidence(std::span<const float> log_sr, std::span<const float> log_weights) {
  float most = 2 * kLogZero;
  for (std::size_t i = 0; i < log_sr.size(); ++i) most = std::max(most, log_sr[i] + log_weights[i]);
  double sum = 0;
  for (std::size_t i = 0; i < log_sr.size(); ++i)
    sum += std::exp(static_cast<double>(log_sr[i] + log_weights[i] - most));
  return static_cast<double>(most) + std::log(sum);
}

bool alarms(std::span<const float> log_sr, std::span<const float> log_weights) {
  float most = 2 * kLogZero;
  for (std::size_t i = 0; i < log_sr.size(); ++i) most = std::max(most, log_sr[i] + log_weights[i]);
  // A sum of n terms is at most n times the largest.
  return most + std::log(static_cast<float>(log_sr.size())) >= 0 && log_evidence(log_sr, log_weights) >= 0;
}

std::size_t leading_cell(std::span<const float> log_sr, std::span<const float> log_weights) {
  std::size_t lead = 0;
  for (std::size_t i = 1; i < log_sr.size(); ++i)
    if (log_sr[i] + log_weights[i] > log_sr[lead] + log_weights[lead]) lead = i;
  return lead;
}

Detector::Detector(std::span<const float> log_weights)
    : log_weights_(log_weights.begin(), log_weights.end()),
      log_sr_(log_weights.size()),
      log_cusum_(log_weights.size()),
      onset_(log_weights.size()) {
  TK_ASSERT(!log_weights.empty());
  clear(view(), 0);
}

bool Detector::update(std::span<const float> log_factors, double log_stake, Tick tick) {
  begin_window(view(), static_cast<float>(log_stake), tick);
  multiply(view(), log_factors);
  onset_of_lead_ = onset_[leading_cell(log_sr_, log_weights_)];
  if (!alarms(log_sr_, log_weights_)) return false;
  reset_after_alarm(view());
  return true;
}

double Detector::log_evidence() const { return evidence::log_evidence(log_sr_, log_weights_); }

}  // namespace truekeel::evidence
