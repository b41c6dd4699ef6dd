// SPDX-License-Identifier: Apache-2.0
#include "select/check.h"

#include <cmath>

#include "select/weight.h"

namespace truekeel::select {
namespace {

bool penalties_set(const Params& params) {
  return params.repetition != 1 || params.frequency != 0 || params.presence != 0;
}

// Written so that NaN is out of every range.
std::optional<Fault> check_numbers(const Params& params) {
  const float t = params.temperature;
  if (!(t == 0 || (t >= kTemperatureMin && t <= kTemperatureMax))) return Fault::bad_temperature;
  if (!(params.top_p >= 0 && params.top_p <= 1)) return Fault::bad_top_p;
  if (!(params.min_p >= 0 && params.min_p <= 1)) return Fault::bad_min_p;
  if (!(params.repetition > 0) || !std::isfinite(params.repetition) || !std::isfinite(params.frequency) ||
      !std::isfinite(params.presence))
    return Fault::bad_penalty;
  return std::nullopt;
}

bool operation_missing(const Params& params) {
  const Chain& chain = params.chain;
  return (params.temperature != 1 && !chain.has(Op::temperature)) ||
         (params.top_k != 0 && !chain.has(Op::top_k)) || (params.top_p < 1 && !chain.has(Op::top_p)) ||
         (params.min_p > 0 && !chain.has(Op::min_p)) ||
         (penalties_set(params) && !chain.has(Op::penalties)) ||
         (!params.bias.empty() && !chain.has(Op::bias)) || (!params.allowed.empty() && !chain.has(Op::mask));
}

template <class Entry>
std::optional<Failure> check_ids(std::span<const Entry> entries, std::uint32_t vocabulary) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].id >= vocabulary) return Failure{Fault::id_out_of_range, 0, entries[i].id};
    if (i > 0 && entries[i - 1].id >= entries[i].id)
      return Failure{Fault::ids_not_ascending, 0, entries[i].id};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Failure> check(const Params& params, std::uint32_t vocabulary) {
  if (vocabulary == 0 || vocabulary > kVocabularyMax) return Failure{Fault::bad_vocabulary};
  if (const auto fault = check_numbers(params)) return Failure{*fault};
  if (operation_missing(params)) return Failure{Fault::operation_missing};
  if (!params.allowed.empty() && params.allowed.size() < (vocabulary + 63) / 64)
    return Failure{Fault::mask_too_short};
  if (auto failure = check_ids(params.counts, vocabulary)) return failure;
  if (auto failure = check_ids(params.bias, vocabulary)) return failure;
  for (const TokenBias& entry : params.bias)
    if (!std::isfinite(entry.bias)) return Failure{Fault::bad_bias, 0, entry.id};
  return std::nullopt;
}

bool edits_logits(const Params& params) {
  return !params.bias.empty() || !params.allowed.empty() || (penalties_set(params) && !params.counts.empty());
}

}  // namespace truekeel::select
