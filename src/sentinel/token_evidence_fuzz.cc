// SPDX-License-Identifier: Apache-2.0
// Whatever a server calls the records of tokens: they are refused, or become finite evidence.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "sentinel/plan.h"
#include "sentinel/token_evidence.h"

using namespace truekeel::sentinel;
using truekeel::evidence::Sampling;

namespace {

const std::array<Sampling, 5> kSamplings = {{
    {.vocabulary = kVocabularyMost},
    {.temperature = 0.7, .top_k = 40, .top_p = 0.9, .min_p = 0.05, .vocabulary = 2000},
    {.temperature = 10, .filters_known = false, .vocabulary = kVocabularyMost},
    {.temperature = 0.02, .top_k = 5, .vocabulary = 2000},
    {.temperature = 0, .vocabulary = 2000},
}};

}  // namespace

/// The first byte picks the engine and the parameters; a line of logprobs and one of `audit` follow.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto dialects = truekeel::evidence::shipped_dialects();
  const auto& dialect = dialects[data[0] % dialects.size()];
  const Sampling& sampling = kSamplings[data[0] / dialects.size() % kSamplings.size()];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = std::min(text.find('\n'), text.size());
  TokenEvidence evidence;
  GrowthMeter speed;
  std::vector<float> sums(evidence.audit().bets().cells(), 0.0f);
  const auto seen = evidence.add(text.substr(0, cut), text.substr(std::min(cut + 1, text.size())),
                                 {dialect, sampling, dialect.audit(), 7}, sums, speed);
  for (const float sum : sums) TK_ASSERT(seen ? std::isfinite(sum) : sum == 0.0f);
  for (const auto& growth : {speed.tail(), speed.top1_excluded()})
    for (const double nats : growth.value_or(Growth{})) TK_ASSERT(std::isfinite(nats));
  return 0;
}
