// SPDX-License-Identifier: Apache-2.0
// Whatever a server calls records is read within bounds or refused, and an answer without them is JSON
// whenever it was before, with nothing left that its client did not ask for.
#include <cmath>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "protocol/fuzz_oracle.h"
#include "protocol/token_records.h"
#include "protocol/unasked.h"

using namespace truekeel::protocol;

namespace {

void check_records(const TokenRecords& records) {
  TK_ASSERT(records.tokens.size() <= kRecordsMax && records.draws.size() <= kRecordsMax);
  for (const RecordedToken& token : records.tokens) {
    TK_ASSERT(!std::isnan(token.logprob) && token.listed <= kAlternativesMax);
    TK_ASSERT(records.alternatives(token).size() == token.listed);
    TK_ASSERT(token.drawn == kNoNumber || token.drawn < token.listed);
    TK_ASSERT(token.draw == kNoNumber || token.draw < records.draws.size());
  }
}

void check_unasked(const std::string& json, UnaskedLogprobs shown) {
  ResponseReader reader;
  const auto facts = reader.read(json);
  if (!facts) return;
  const Unasked unasked{.logprobs = true, .audit = true, .shown = shown};
  std::string out;
  append_unasked(out, json, *facts, unasked);
  if (!JsonOracle::accepts(json)) return;  // the reader is lenient about what it does not look at
  TK_ASSERT(JsonOracle::accepts(out));
  const auto choices = facts->choices;
  const auto again = reader.read(out);
  TK_ASSERT(again && again->records.empty() && again->choices == choices);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\n');
  TokenRecordReader reader;
  TokenRecords records;
  if (reader.read(text.substr(0, cut), cut == std::string::npos ? "" : text.substr(cut + 1), records))
    check_records(records);
  check_unasked(text, UnaskedLogprobs::null_value);
  check_unasked(text, UnaskedLogprobs::absent);
  return 0;
}
