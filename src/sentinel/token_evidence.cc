// SPDX-License-Identifier: Apache-2.0
#include "sentinel/token_evidence.h"

#include <algorithm>

#include "base/philox.h"

namespace truekeel::sentinel {
namespace {

using protocol::kNoNumber;

/// Weights of our worker are in units of 2^-44 of the best token's.
constexpr double kWeightUnit = 0x1p-44;

/// The choices of one request draw from streams of their own; more than one is not looked at.
constexpr std::uint32_t kFirstChoice = 0;

/// Of every so many tokens, by their number alone, one also calibrates, and tells how fast a fault would
/// show.
constexpr std::uint64_t kMeasureEvery = 4;

}  // namespace

bool draw_fits(const protocol::DrawNumbers& draw, std::uint64_t seed) {
  const std::uint64_t bits = philox_bits(seed, draw.position, kFirstChoice);
  const auto point = static_cast<std::uint64_t>((static_cast<uint128>(bits) * draw.kept_weight) >> 64);
  return draw.begin <= point && point < draw.end;
}

evidence::TokenRecord TokenEvidence::record_of(const protocol::RecordedToken& token,
                                               const TokenContext& context) {
  const auto* const draw = token.draw == kNoNumber ? nullptr : &records_.draws[token.draw];
  const auto listed = records_.alternatives(token);
  std::optional<std::size_t> drawn;
  auto own = static_cast<float>(token.logprob);
  if (token.drawn != kNoNumber) {
    drawn = token.drawn;
    own = listed[token.drawn];
  }
  evidence::TokenRecord record;
  if (listed.empty() && draw && draw->full) {
    // The best token alone: enough for all bets without filters.
    const auto best = static_cast<float>(draw->logprob + draw->top_margin);
    record = rows_.read({&best, 1}, draw->top_margin <= 0 ? std::optional<std::size_t>(0) : std::nullopt,
                        draw->top_margin <= 0 ? best : own, evidence::ListRule::top_apart);
  } else {
    record = rows_.read(listed, drawn, own, context.dialect.list_rule);
  }
  if (record.rank == evidence::kUnknownRank && token.rank != kNoNumber && token.rank >= record.top.size())
    record.rank = token.rank;
  if (!draw) return record;
  if (draw->full) {
    record.has_mass = true;
    std::ranges::transform(draw->mass_below, record.mass_below.begin(),
                           [](double mass) { return static_cast<float>(mass); });
  }
  if (*context.sampling.temperature > 0) {
    record.kept_weight = static_cast<double>(draw->kept_weight) * kWeightUnit;
    if (context.seed)
      record.draw =
          draw_fits(*draw, *context.seed) ? evidence::DrawCheck::matches : evidence::DrawCheck::differs;
  }
  return record;
}

Result<TokensSeen> TokenEvidence::add(std::string_view logprobs, std::string_view audit,
                                      const TokenContext& context, std::span<float> sums,
                                      GrowthMeter& speed) {
  if (auto read = reader_.read(logprobs, audit, records_); !read) return std::unexpected(read.error());
  TokensSeen seen;
  for (const auto& token : records_.tokens) {
    ++seen.tokens;
    seen.unfinished += token.continues_character;
    if (token.id != kNoNumber) seen.id_most = std::max(seen.id_most, token.id);
    const evidence::TokenRecord record = record_of(token, context);
    if (record.top.empty()) {
      ++seen.unusable;
      audit_.add_lost(1, sums);
      continue;
    }
    audit_.add(record, context.sampling, context.dialect.conduct, context.tolerances, sums);
    if (!speed.due(kMeasureEvery)) continue;
    speed.add(record, context.sampling, context.dialect.conduct, context.tolerances.rho);
    if (const auto out =
            evidence::excluded(record, context.sampling, context.dialect.conduct, context.tolerances)) {
      ++seen.telling;
      seen.excluded += *out;
    }
  }
  return seen;
}

}  // namespace truekeel::sentinel
