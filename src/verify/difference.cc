// SPDX-License-Identifier: Apache-2.0
#include "verify/difference.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/assert.h"

namespace truekeel::verify {
namespace {

/// An excess beyond so many tolerances counts as these: the bounds need an end. So does one below minus one.
constexpr double kExcessMost = 3;

evidence::MeanBounds bounds_for(double tolerance) { return {-tolerance, kExcessMost * tolerance}; }

/// The most probable ones, by falling logprob; ties by key, so that both servers list them alike.
protocol::ListedRow best_of(protocol::ListedRow row, std::size_t keep) {
  std::ranges::sort(row, [](const auto& a, const auto& b) {
    return a.logprob != b.logprob ? a.logprob > b.logprob : a.key < b.key;
  });
  row.resize(std::min(row.size(), keep));
  return row;
}

/// Sum over a's tokens of |a - b|.
double one_way(const protocol::ListedRow& a, const protocol::ListedRow& b) {
  double sum = 0;
  for (const auto& token : a) {
    const auto found = std::ranges::find(b, token.key, &protocol::ListedToken::key);
    const auto own = static_cast<double>(token.logprob);
    sum += found != b.end() ? std::abs(own - static_cast<double>(found->logprob))
                            : std::max(0.0, own - static_cast<double>(b.back().logprob));
  }
  return sum;
}

}  // namespace

std::optional<double> distance(const protocol::ListedRow& a, const protocol::ListedRow& b, std::size_t keep) {
  const std::size_t count = std::min({a.size(), b.size(), keep});
  if (count < 2) return std::nullopt;
  const auto first = best_of(a, count), second = best_of(b, count);
  return (one_way(first, second) + one_way(second, first)) / static_cast<double>(2 * count);
}

std::optional<double> distance(const Rows& a, const Rows& b, std::size_t keep) {
  if (a.empty() || a.size() != b.size()) return std::nullopt;
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto each = distance(a[i], b[i], keep);
    if (!each) return std::nullopt;
    sum += *each;
  }
  return sum / static_cast<double>(a.size());
}

std::string_view name(Stratum stratum) {
  return stratum == Stratum::short_prompts ? "short prompts" : "long prompts";
}

DifferenceTest::DifferenceTest(const DifferenceSettings& settings)
    : settings_(settings),
      strata_{bounds_for(settings.tolerance), bounds_for(settings.tolerance)},
      all_(bounds_for(settings.tolerance)) {
  TK_ASSERT(settings.tolerance > 0 && settings.error > 0 && settings.miss > 0);
}

const evidence::MeanBounds& DifferenceTest::bounds(Stratum stratum) const {
  return strata_[std::to_underlying(stratum)];
}

void DifferenceTest::add(const Point& point) {
  points_.push_back(point);
  const double excess = point.between - (point.within_target + point.within_reference) / 2;
  auto& stratum = strata_[std::to_underlying(point.stratum)];
  stratum.add(excess);
  all_.add(excess);
  differs_ = differs_ || stratum.log_evidence_above(settings_.tolerance) >= -std::log(error_each());
}

bool DifferenceTest::same() const {
  return !differs_ && all_.items() > 0 && !too_noisy() &&
         all_.log_evidence_below(settings_.tolerance) >= -std::log(settings_.miss);
}

bool DifferenceTest::too_noisy() const {
  if (points_.empty()) return false;
  double sum = 0;
  for (const Point& point : points_) sum += (point.within_target + point.within_reference) / 2;
  return sum / static_cast<double>(points_.size()) > settings_.tolerance;
}

DifferenceTest::View DifferenceTest::view(Stratum stratum) const {
  const auto& of = bounds(stratum);
  return {of.items(), of.mean(), of.lower(error_each()), of.upper(settings_.miss)};
}

DifferenceTest::View DifferenceTest::all() const {
  return {all_.items(), all_.mean(), all_.lower(error_each()), all_.upper(settings_.miss)};
}

double DifferenceTest::progress() const {
  double most = 0;
  for (const auto& each : strata_)
    most = std::max(most, each.log_evidence_above(settings_.tolerance) / -std::log(error_each()));
  return std::clamp(most, 0.0, 1.0);
}

}  // namespace truekeel::verify
