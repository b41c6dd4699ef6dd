// SPDX-License-Identifier: Apache-2.0
// What each engine's API can do and what its numbers mean, declared once and readable as documentation.
// Thread safety: constants.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/engine_kind.h"

namespace truekeel::protocol {

/// Which distribution a reported logprob is of.
enum class LogprobMeaning {
  raw,                ///< softmax of the logits, before temperature, filters, penalties and bias
  after_temperature,  ///< after temperature, before top-k, top-p and min-p
  undocumented,
};

/// Tokens that get no logprob record; their number is counted at its lower bound.
enum class MissingRecords {
  none,             ///< records = tokens predicted
  incomplete_utf8,  ///< tokens that end inside a character, and the stop string's when not streamed
  undocumented,
};

/// What stands in the place of logprobs that were not asked for.
enum class UnaskedLogprobs {
  null_value,  ///< "logprobs":null
  absent,      ///< no such member
};

/// How tokens of a prompt are counted exactly without generating any.
enum class TokenCount {
  none,
  input_tokens,  ///< the chat body -> {"input_tokens": N}; counts tools too
  text_or_chat,  ///< {"model", "prompt"} or {"model", "messages", "tools"} -> {"count": N, "tokens": [...]}
  text,          ///< {"model", "prompt"} -> {"count": N, ...}: no chat template, so text prompts only
};

/// Steps between logits and the drawn token, in the order in which the engine takes them.
enum class SamplingStep { bias, penalties, temperature, top_k, top_p, min_p };

/// What the server does when a request is silent; nullopt: the model's own generation_config decides.
struct SamplingDefaults {
  std::optional<double> temperature, top_p, min_p;
  std::optional<std::int64_t> top_k;  ///< 0: no limit
};

struct Dialect {
  EngineKind engine;

  // Paths from the root of the server; empty: there is none.
  std::string_view health_path;      ///< says that the process lives, not that it generates
  std::string_view properties_path;  ///< tells the effective defaults or the context window
  std::string_view count_path;       ///< of TokenCount
  TokenCount count;
  std::string_view score_path;  ///< teacher-forced logprobs; its shape is the engine's own
  std::string_view fingerprint_path;
  bool native_anthropic;  ///< answers /v1/messages itself, but without logprobs

  // Members of requests; empty: there is none.
  std::string_view chat_limit_field;  ///< limit of output in chat; in completions all take max_tokens
  std::string_view token_ids_field;   ///< true asks for the ids of the answer's tokens
  std::string_view no_cache_field;    ///< false switches the reuse of cached prefixes off
  bool top_k_and_min_p;               ///< takes these beyond OpenAI's fields

  // What its numbers mean.
  LogprobMeaning logprobs;
  std::optional<int> top_logprobs_max;  ///< as started by default; nullopt: no limit
  bool chosen_listed_first;             ///< top_logprobs begins with the chosen token, not with the best
  MissingRecords missing;
  UnaskedLogprobs unasked_chat, unasked_completions;
  bool records_alone;     ///< streams events that hold a record and nothing else, when asked for records
  bool completion_lists;  ///< logprobs of /v1/completions are OpenAI's older lists alone, without chat's
                          ///< records
  std::string_view audit_field;         ///< asks for the numbers of each draw; empty: there is none
  std::span<const SamplingStep> order;  ///< empty: undocumented
  SamplingDefaults defaults;
  bool fingerprint_tells_config;  ///< system_fingerprint changes with the configuration

  // What it can be asked to do.
  bool can_score;
  bool can_seed;       ///< an equal seed gives an equal answer, alone on the server
  bool can_token_ids;  ///< by token_ids_field or in the logprobs
  bool can_replay;     ///< bit-exact under load, where its fingerprint says so
};

[[nodiscard]] const Dialect& dialect(EngineKind engine);
[[nodiscard]] std::span<const Dialect> dialects();

}  // namespace truekeel::protocol
