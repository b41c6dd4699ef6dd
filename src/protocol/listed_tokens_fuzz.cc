// SPDX-License-Identifier: Apache-2.0
// Whatever a server answers, its rows are read within bounds or refused.
#include <cmath>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "protocol/listed_tokens.h"

using namespace truekeel::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ListedTokenReader reader;
  for (const auto where : {RowsIn::chat, RowsIn::score, RowsIn::prompt_logprobs}) {
    const auto rows = reader.read(text, where);
    if (!rows) continue;
    TK_ASSERT(rows->size() <= kListedRowsMax);
    for (const auto& row : *rows) {
      TK_ASSERT(!row.empty() && row.size() <= kListedMax);
      for (const auto& token : row) TK_ASSERT(std::isfinite(token.logprob) && token.logprob < 1);
    }
  }
  return 0;
}
