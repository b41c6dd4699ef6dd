// SPDX-License-Identifier: Apache-2.0
// What each engine's API can do and what its numbers mean, declared once and readable as documentation.
// Thread safety: constants.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"

namespace truekeel::protocol {

enum class Engine { truekeel, llama_cpp, vllm, sglang, openai };

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

/// The shape of the endpoint that counts tokens.
enum class TokenizeShape {
  none,
  text_content,  ///< {"content": text} -> {"tokens": [...]}; a chat is rendered by /apply-template first
  text_prompt,   ///< {"model", "prompt": text} -> {"tokens", "count"}
  text_or_chat,  ///< also {"model", "messages": [...]} -> {"tokens", "count"}
};

/// Steps between logits and the drawn token, in the order in which the engine takes them.
enum class SamplingStep { bias, penalties, temperature, top_k, top_p, min_p };

/// What the server does when a request is silent; nullopt: the model's own generation_config decides.
struct SamplingDefaults {
  std::optional<double> temperature, top_p, min_p;
  std::optional<std::int64_t> top_k;  ///< 0: no limit
};

struct Dialect {
  Engine engine;
  std::string_view name;  ///< in the configuration

  // Paths; empty: there is none.
  std::string_view health_path;      ///< says that the process lives, not that it generates
  std::string_view properties_path;  ///< tells the effective defaults and the context window
  std::string_view tokenize_path;
  std::string_view template_path;  ///< renders a chat to text
  std::string_view score_path;     ///< teacher-forced logprobs
  std::string_view fingerprint_path;
  TokenizeShape tokenize;
  bool native_anthropic;  ///< answers /v1/messages itself, without logprobs

  // Fields of requests; empty: there is none.
  std::string_view max_output_field;  ///< where the gateway states its limit
  std::string_view seed_field;
  std::string_view token_ids_field;  ///< true asks for the ids of the answer's tokens
  std::string_view no_cache_member;  ///< a member, JSON text, that switches prefix reuse off
  bool top_k_and_min_p;              ///< accepts these beyond OpenAI's fields

  // What its numbers mean.
  LogprobMeaning logprobs;
  int top_logprobs_max;
  bool chosen_listed_first;  ///< top_logprobs begins with the chosen token, not with the best
  MissingRecords missing;
  std::span<const SamplingStep> order;  ///< empty: undocumented
  SamplingDefaults defaults;
  bool fingerprint_tells_config;  ///< system_fingerprint changes when the configuration does

  // What it can be asked to do.
  bool can_score;
  bool can_seed;  ///< an equal seed gives an equal answer, alone on the server
  bool can_token_ids;
  bool can_replay;  ///< bit-exact under concurrent load, where its fingerprint says so
};

[[nodiscard]] const Dialect& dialect(Engine engine);
[[nodiscard]] std::span<const Dialect> dialects();

/// Error::not_found, naming the known ones, when no engine has this name.
[[nodiscard]] Result<Engine> engine_named(std::string_view name);

}  // namespace truekeel::protocol
