// SPDX-License-Identifier: Apache-2.0
// Recorded positions of real answers, for benches: what an audit sees of them, as numbers. No token, no text.
// Thread safety: pure functions but for the file. The format is that of one machine: little-endian, IEEE 754.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

#include "evidence/draw_null.h"

namespace truekeel::evidence::recording {

inline constexpr std::size_t kListed = 20, kFaults = 4, kRedraws = 256;
inline constexpr std::array<double, 2> kRates = {0.008, 0.05};

/// What a fault would have emitted at a position, and how far the law with it is from the one without.
struct FaultyToken {
  float logprob = 0;
  std::uint32_t rank = 0;
  std::array<float, kRates.size()> divergence = {};  ///< nats, at each of kRates; exact, for this row
};

/// Another draw at the same position, by the same law.
struct Redrawn {
  float logprob = 0;
  std::uint32_t rank = 0;
};

struct Position {
  std::array<float, kListed> top = {};
  float logprob = 0;
  std::uint32_t rank = 0;
  std::array<float, 3> mass_below = {};
  float kept_weight = 0;
  std::uint32_t draw_fits = 0;  ///< 1: the draw lies in the token's interval
  std::array<FaultyToken, kFaults> faulty = {};
};

struct Answer {
  std::uint32_t server = 0, kind = 0;
  Sampling sampling;
  std::vector<Position> positions;
  std::vector<Redrawn> redraws;  ///< kRedraws for each position; none at temperature 0, or without faults
};

/// Appends an answer with faults.
inline void write(std::FILE* file, const Answer& answer) {
  const auto& [server, answer_kind, sampling, positions, redraws] = answer;
  constexpr std::uint32_t kMagic = 0x32524b54;
  const auto temperature = static_cast<float>(*sampling.temperature);
  const auto top_p = static_cast<float>(sampling.top_p);
  const auto count = static_cast<std::uint32_t>(positions.size());
  const std::uint32_t kind = server | answer_kind << 16;
  for (const void* word : {static_cast<const void*>(&kMagic), static_cast<const void*>(&kind),
                           static_cast<const void*>(&count), static_cast<const void*>(&temperature),
                           static_cast<const void*>(&sampling.top_k), static_cast<const void*>(&top_p)})
    std::fwrite(word, 4, 1, file);
  std::fwrite(positions.data(), sizeof(Position), positions.size(), file);
  std::fwrite(redraws.data(), sizeof(Redrawn), redraws.size(), file);
}

/// Reads whole answers, with faults and without; what follows the last is left out. Empty when there is none.
inline std::vector<Answer> read(std::FILE* file, std::uint32_t vocabulary) {
  constexpr std::uint32_t kPlain = 0x31524b54, kFaulty = 0x32524b54;
  constexpr std::size_t kPlainBytes = sizeof(Position) - sizeof(Position::faulty);
  struct Head {
    std::uint32_t magic;
    std::uint16_t server, kind;
    std::uint32_t count;
    float temperature;
    std::uint32_t top_k;
    float top_p;
  } head;
  static_assert(sizeof(Head) == 24 && kPlainBytes == 108);
  std::vector<Answer> answers;
  while (std::fread(&head, sizeof head, 1, file) == 1 && (head.magic == kPlain || head.magic == kFaulty)) {
    Answer answer{.server = head.server,
                  .kind = head.kind,
                  .sampling = {.temperature = static_cast<double>(head.temperature),
                               .top_k = head.top_k,
                               .top_p = static_cast<double>(head.top_p),
                               .vocabulary = vocabulary},
                  .positions = std::vector<Position>(head.count),
                  .redraws = {}};
    const std::size_t bytes = head.magic == kPlain ? kPlainBytes : sizeof(Position);
    std::size_t whole = 0;
    for (auto& position : answer.positions) whole += std::fread(&position, bytes, 1, file);
    if (whole < head.count) break;
    if (head.magic == kFaulty && head.temperature > 0) {
      answer.redraws.resize(head.count * kRedraws);
      if (std::fread(answer.redraws.data(), sizeof(Redrawn), answer.redraws.size(), file) <
          answer.redraws.size())
        break;
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

/// What the audit gets of a position: `full` adds our worker's own fields.
inline TokenRecord record(const Position& position, bool full) {
  TokenRecord record{.top = position.top, .logprob = position.logprob, .rank = position.rank};
  if (full) {
    record.mass_below = position.mass_below;
    record.has_mass = true;
    record.kept_weight = static_cast<double>(position.kept_weight);
    record.draw = position.draw_fits == 1 ? DrawCheck::matches : DrawCheck::differs;
  }
  return record;
}

}  // namespace truekeel::evidence::recording
