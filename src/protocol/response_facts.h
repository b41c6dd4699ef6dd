// SPDX-License-Identifier: Apache-2.0
// What an answer in OpenAI's shape, whole or one chunk of a stream, says about itself; read for metrics and
// audit at every chunk, so it must cost little. Thread safety: a reader serves one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/json.h"

namespace truekeel::protocol {

struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::uint64_t cached_tokens = 0;                 ///< of the prompt, where the server says so
  std::optional<std::uint64_t> total_tokens = {};  ///< as stated, not as it should be

  bool operator==(const Usage&) const = default;
};

/// Where an answer holds records of tokens: a member of a choice that is not null.
struct RecordsAt {
  enum class Kind : std::uint8_t { logprobs, audit };

  Kind kind = Kind::logprobs;
  std::size_t choice = 0;  ///< which one, in the order of the answer
  std::size_t begin = 0;   ///< where its name's opening quote stands
  TextRange value;

  bool operator==(const RecordsAt&) const = default;
};

/// Views hold until the next read().
struct ResponseFacts {
  std::string_view id, model, system_fingerprint;  ///< empty: not stated
  std::optional<Usage> usage;
  std::size_t choices = 0;
  std::size_t finished = 0;        ///< choices that state a finish_reason
  std::string_view finish_reason;  ///< of the last of those
  bool has_output = false;         ///< some choice carries text, reasoning or a tool call: a token arrived
  bool has_logprobs = false;       ///< some choice carries logprobs that are not null
  bool is_error = false;           ///< it is an error in place of an answer
  std::optional<std::uint64_t> predicted;  ///< tokens of the answer, by llama.cpp\'s timings
  std::optional<std::uint64_t> seed;       ///< of the draws, where the server states it
  std::span<const RecordsAt> records;      ///< by place
};

class ResponseReader {
 public:
  /// Error::invalid_argument when `json` is no JSON object as far as it is looked at. A field of an
  /// unexpected kind counts as not stated: what a server says oddly is passed on, and only missing here.
  /// "[DONE]" is no JSON: ask is_done.
  [[nodiscard]] Result<ResponseFacts> read(std::string_view json);

 private:
  JsonParser parser_;
  std::vector<RecordsAt> records_;
};

/// The data of the event that ends a stream in OpenAI's shape.
[[nodiscard]] inline bool is_done(std::string_view data) { return data == "[DONE]"; }

}  // namespace truekeel::protocol
