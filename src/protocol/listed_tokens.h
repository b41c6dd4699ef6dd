// SPDX-License-Identifier: Apache-2.0
// Which tokens an answer lists as the most probable at each of its positions, by a hash of what they are: for
// comparing the distributions of two servers, whatever their ids mean. Thread safety: a reader serves one
// thread at a time.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/json.h"

namespace truekeel::protocol {

struct ListedToken {
  std::uint64_t key = 0;  ///< equal for equal bytes
  float logprob = 0;

  bool operator==(const ListedToken&) const = default;
};

/// The listed tokens of one position, in the order of the answer.
using ListedRow = std::vector<ListedToken>;

/// Where an answer has its rows.
enum class RowsIn : std::uint8_t {
  chat,            ///< choices[0].logprobs.content[].top_logprobs, and the same of completions
  score,           ///< tokens[].top_logprobs of our worker's /v1/score
  prompt_logprobs  ///< choices[0].prompt_logprobs of vLLM: {id: {"logprob"}}, null for the first token
};

/// More positions or tokens of one position are not read.
inline constexpr std::size_t kListedRowsMax = 1u << 14;
inline constexpr std::size_t kListedMax = 64;

class ListedTokenReader {
 public:
  /// Rows without a token are left out. Error::invalid_argument when it is not JSON as far as it is looked
  /// at; an answer without rows gives none.
  [[nodiscard]] Result<std::vector<ListedRow>> read(std::string_view json, RowsIn where);

 private:
  JsonParser parser_;
};

}  // namespace truekeel::protocol
