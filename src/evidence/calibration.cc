// SPDX-License-Identifier: Apache-2.0
#include "evidence/calibration.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/assert.h"
#include "evidence/confidence.h"

namespace truekeel::evidence {
namespace {

constexpr std::uint64_t kFirstLook = 4096;

constexpr Conduct kTruekeel{.logprobs = LogprobKind::raw,
                            .order = {Step::temperature, Step::top_k, Step::top_p, Step::min_p},
                            .keeps_ties = false};
constexpr Conduct kLlamaCpp{.logprobs = LogprobKind::raw,
                            .order = {Step::top_k, Step::top_p, Step::min_p, Step::temperature},
                            .keeps_ties = false};
constexpr Conduct kVllm{.logprobs = LogprobKind::raw,
                        .order = {Step::temperature, Step::min_p, Step::top_k, Step::top_p},
                        .keeps_ties = true};
constexpr Conduct kSglang{.logprobs = LogprobKind::tempered,
                          .order = {Step::temperature, Step::top_k, Step::top_p, Step::min_p},
                          .keeps_ties = true};

// rho: single-precision softmax and draw differ from the reported numbers by some 1e-6; the samples are clean
// tokens without an impossible one. Tie width 0: subtracting one normaliser keeps the order of logits, so the
// greedy token has the largest logprob; the samples are greedy tokens without one off the top.
constexpr std::array<ShippedDialect, 4> kShipped = {{
    {.name = "truekeel",
     .conduct = kTruekeel,
     .list_rule = ListRule::top_apart,
     .rho = {1e-5, 0, 500'000, Basis::construction},
     .logprob_error = {1e-4, 0, 500'000, Basis::construction},
     .tie_width = {0, 0, 1'474, Basis::construction}},
    {.name = "llama.cpp",
     .conduct = kLlamaCpp,
     .list_rule = ListRule::top_apart,
     .rho = {1e-5, 0, 5'137, Basis::construction},
     .logprob_error = {1e-3, 0, 5'137, Basis::construction},
     .tie_width = {0, 0, 839, Basis::construction}},
    {.name = "vllm",
     .conduct = kVllm,
     .list_rule = ListRule::drawn_replaces,
     .rho = {1e-5, 0, 960, Basis::construction},
     .logprob_error = {1e-3, 0, 960, Basis::construction},
     .tie_width = {0, 0, 640, Basis::construction}},
    {.name = "sglang",
     .conduct = kSglang,
     .list_rule = ListRule::drawn_replaces,
     .rho = {kRhoCeiling, 0, 0, Basis::assumed},
     .logprob_error = {1e-3, 0, 0, Basis::assumed},
     .tie_width = {1e-3, 0, 0, Basis::assumed}},
}};

}  // namespace

std::span<const ShippedDialect> shipped_dialects() { return kShipped; }

std::optional<ShippedDialect> shipped(std::string_view dialect) {
  const auto found = std::ranges::find(kShipped, dialect, &ShippedDialect::name);
  return found == kShipped.end() ? std::nullopt : std::optional(*found);
}

LiveTolerance::LiveTolerance(const LiveSettings& settings)
    : settings_(settings),
      bet_(settings.ceiling),
      gate_(bet_.bets().log_weights(), settings.suspect_alpha),
      now_(settings.shipped),
      next_look_(kFirstLook) {
  TK_ASSERT(settings.floor <= settings.ceiling);
  now_.value = std::min(now_.value, settings.ceiling);
}

void LiveTolerance::add(bool flagged) {
  ++items_;
  flagged_ += flagged;
  std::vector<float> factors(bet_.bets().cells(), 0.0f);
  bet_.add(flagged, factors);
  gate_.update(factors);
  if (items_ == next_look_) look();
}

void LiveTolerance::look() {
  next_look_ *= 2;
  ++looks_;
  // Errors of the k-th look: (1 - confidence) / (k (k + 1)), which sum to 1 - confidence over all looks.
  const auto k = static_cast<double>(looks_);
  const double confidence = 1 - (1 - settings_.confidence) / (k * (k + 1));
  const double lower = rate_lower_bound(flagged_, items_, confidence),
               upper = std::max(rate_upper_bound(flagged_, items_, confidence), settings_.floor);
  const bool better = upper < now_.value || lower > now_.value;
  if (!better || upper > settings_.ceiling || suspect()) return;
  now_ = {.value = upper, .confidence = settings_.confidence, .samples = items_, .basis = Basis::measured};
}

void LiveTolerance::save(ByteWriter& out) const {
  for (const std::uint64_t count : {items_, next_look_, looks_, now_.samples, flagged_}) out.put(count);
  out.put(now_.value);
  out.put<std::uint8_t>(now_.basis == Basis::measured);
  gate_.save(out);
}

void LiveTolerance::load(ByteReader& in) {
  items_ = in.get<std::uint64_t>();
  next_look_ = in.get<std::uint64_t>();
  looks_ = in.get<std::uint64_t>();
  Tolerance measured{.confidence = settings_.confidence, .basis = Basis::measured};
  measured.samples = in.get<std::uint64_t>();
  flagged_ = in.get<std::uint64_t>();
  measured.value = in.get<double>();
  const bool is_measured = in.get<std::uint8_t>() != 0;
  gate_.load(in);
  in.reject_unless(items_ < next_look_ && flagged_ <= items_);
  // Comparisons with a NaN are false.
  in.reject_unless(!is_measured ||
                   (measured.samples <= items_ && measured.value > 0 && measured.value <= settings_.ceiling));
  // What was shipped then is no better than what is shipped now.
  if (is_measured) now_ = measured;
}

LiveTolerance live_rho(const ShippedDialect& shipped) {
  return LiveTolerance({.shipped = shipped.rho, .floor = kRhoFloor, .ceiling = kRhoCeiling});
}

}  // namespace truekeel::evidence
