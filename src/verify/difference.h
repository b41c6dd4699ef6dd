// SPDX-License-Identifier: Apache-2.0
// Whether two servers' distributions differ by more than they differ from themselves. Pure: distances come
// in, in the order in which their contexts were chosen. Thread safety: serves one thread. docs/verify.md
// states the test for a statistician.
//
// Each context is read twice on both servers. Its excess is the distance between the servers less the mean of
// their distances from themselves. Null: in every stratum and given the past, the mean excess is at most
// the tolerance. The chance of ever calling a true null different is at most `error`, whenever one looks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "evidence/mean_bounds.h"
#include "protocol/listed_tokens.h"

namespace truekeel::verify {

using Rows = std::vector<protocol::ListedRow>;

/// Mean |difference| in logprob over the `keep` most probable tokens of either row, in nats. A token that one
/// of them does not list counts as if it were as probable there as the last that is: too small a distance,
/// never too large. Symmetric. Nothing where a row has fewer than two tokens to compare.
[[nodiscard]] std::optional<double> distance(const protocol::ListedRow& a, const protocol::ListedRow& b,
                                             std::size_t keep);

/// The mean over positions; nothing where there are none or not as many.
[[nodiscard]] std::optional<double> distance(const Rows& a, const Rows& b, std::size_t keep);

enum class Stratum : std::uint8_t { short_prompts, long_prompts };
inline constexpr std::size_t kStrata = 2;
[[nodiscard]] std::string_view name(Stratum stratum);

/// One context, read twice on both servers.
struct Point {
  Stratum stratum = Stratum::short_prompts;
  std::uint64_t tokens = 0;  ///< of the context
  double between = 0;        ///< mean distance of the first readings, and of the second
  double within_target = 0, within_reference = 0;
};

struct DifferenceSettings {
  double tolerance = 0.15;  ///< nats; what benign differences of arithmetic stay below
  double error = 1e-3;      ///< of calling a true null different
  double miss = 0.05;       ///< of calling servers the same whose mean excess is the tolerance or more
};

class DifferenceTest {
 public:
  explicit DifferenceTest(const DifferenceSettings& settings);

  void add(const Point& point);

  /// Beyond the tolerance in some stratum, and not by noise.
  [[nodiscard]] bool differs() const { return differs_ && !too_noisy(); }
  /// Over all contexts the mean excess is below the tolerance, with probability 1 - miss.
  [[nodiscard]] bool same() const;
  /// The servers differ from themselves by more than the tolerance: then the test says nothing.
  [[nodiscard]] bool too_noisy() const;

  struct View {
    std::size_t contexts = 0;
    double mean = 0, lower = 0, upper = 0;  ///< of the excess; the bounds are those of the decisions
  };
  [[nodiscard]] View view(Stratum stratum) const;
  [[nodiscard]] View all() const;
  [[nodiscard]] std::span<const Point> points() const { return points_; }
  [[nodiscard]] const DifferenceSettings& settings() const { return settings_; }
  /// The evidence of the stratum that differs most, as a share of what a decision takes.
  [[nodiscard]] double progress() const;

 private:
  [[nodiscard]] const evidence::MeanBounds& bounds(Stratum stratum) const;
  [[nodiscard]] double error_each() const { return settings_.error / kStrata; }

  const DifferenceSettings settings_;
  std::array<evidence::MeanBounds, kStrata> strata_;
  evidence::MeanBounds all_;
  std::vector<Point> points_;
  bool differs_ = false;
};

}  // namespace truekeel::verify
