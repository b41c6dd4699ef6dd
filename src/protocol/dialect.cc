// SPDX-License-Identifier: Apache-2.0
// Sources: "measured" is our own measurement on the version named; the others are the engine's documents.
#include "protocol/dialect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace truekeel::protocol {
namespace {

using enum SamplingStep;

constexpr std::array kTruekeelOrder = {bias, penalties, temperature, top_k, top_p, min_p};

// Measured on llama.cpp 0.5.0: temperature comes after the filters, so they see the unscaled distribution.
constexpr std::array kLlamaOrder = {bias, penalties, top_k, top_p, min_p, temperature};

// vLLM 0.32, vllm/v1/sample/sampler.py: min-p is a logits processor that runs before top-k and top-p.
constexpr std::array kVllmOrder = {bias, penalties, temperature, min_p, top_k, top_p};

// SGLang, srt/layers/sampler.py: filters run on the probabilities after temperature.
constexpr std::array kSglangOrder = {bias, penalties, temperature, top_k, top_p, min_p};

constexpr Dialect kTruekeel = {
    .engine = EngineKind::truekeel,
    .health_path = "/health",
    .properties_path = "",
    .count_path = "/tokenize",
    .count = TokenCount::text_or_chat,
    .score_path = "/v1/score",
    .fingerprint_path = "/v1/fingerprint",
    .native_anthropic = false,
    .chat_limit_field = "max_tokens",
    .token_ids_field = "return_token_ids",
    .no_cache_field = "",  // no reuse unless the worker is started with it, which its fingerprint shows
    .top_k_and_min_p = true,
    .logprobs = LogprobMeaning::raw,
    .top_logprobs_max = 20,
    .chosen_listed_first = false,
    .missing = MissingRecords::none,
    .unasked_chat = UnaskedLogprobs::null_value,
    .unasked_completions = UnaskedLogprobs::null_value,
    .records_alone = true,
    .completion_lists = false,
    .audit_field = "audit",
    .order = kTruekeelOrder,
    .defaults = {.temperature = 1.0, .top_p = 1.0, .min_p = 0.0, .top_k = 0},
    .fingerprint_tells_config = true,
    .can_score = true,
    .can_seed = true,
    .can_token_ids = true,
    .can_replay = true,
};

// Measured on llama-server of llama.cpp 0.5.0; paths and names in tools/server of its sources.
constexpr Dialect kLlamaCpp = {
    .engine = EngineKind::llama_cpp,
    .health_path = "/health",
    .properties_path = "/props",  // n_ctx and default parameters, but neither RoPE nor KV type
    .count_path = "/v1/chat/completions/input_tokens",
    .count = TokenCount::input_tokens,
    .score_path = "",  // neither prompt logprobs nor echo
    .fingerprint_path = "",
    .native_anthropic = true,
    .chat_limit_field = "max_tokens",
    .token_ids_field = "",
    .no_cache_field = "cache_prompt",  // a hit changes logprobs by up to .31 (measured)
    .top_k_and_min_p = true,
    .logprobs = LogprobMeaning::raw,  // logit_bias too leaves no trace in them
    .top_logprobs_max = std::nullopt,
    .chosen_listed_first = false,
    .missing = MissingRecords::incomplete_utf8,
    .unasked_chat = UnaskedLogprobs::absent,
    .unasked_completions = UnaskedLogprobs::null_value,
    .records_alone = false,
    .completion_lists = false,
    .audit_field = "",
    .order = kLlamaOrder,
    .defaults = {.temperature = 0.8, .top_p = 0.95, .min_p = 0.05, .top_k = 40},
    .fingerprint_tells_config = false,  // names the build alone
    .can_score = false,
    .can_seed = true,
    .can_token_ids = true,  // each record has its id
    .can_replay = false,
};

// Measured on vLLM 0.32.0, V1 engine.
constexpr Dialect kVllm = {
    .engine = EngineKind::vllm,
    .health_path = "/health",         // stays 200 while the engine hangs
    .properties_path = "/v1/models",  // max_model_len
    .count_path = "/tokenize",
    .count = TokenCount::text_or_chat,
    .score_path = "/v1/completions",  // prompt as ids, prompt_logprobs, max_tokens 1
    .fingerprint_path = "",
    .native_anthropic = true,
    .chat_limit_field = "max_tokens",
    .token_ids_field = "return_token_ids",
    .no_cache_field = "",  // cache_salt needs a fresh value for every request; a hit changes nothing (fp32)
    .top_k_and_min_p = true,
    .logprobs = LogprobMeaning::raw,  // --logprobs-mode changes it, and no answer says so
    .top_logprobs_max = 20,           // --max-logprobs raises it
    .chosen_listed_first = true,      // outside the top K it displaces the K-th
    .missing = MissingRecords::none,  // a token inside a character has an empty text, the record is there
    .unasked_chat = UnaskedLogprobs::null_value,
    .unasked_completions = UnaskedLogprobs::null_value,
    .records_alone = false,
    .completion_lists = true,
    .audit_field = "",
    .order = kVllmOrder,
    .defaults = {},  // generation_config.json of the model, which the fingerprint does not cover
    .fingerprint_tells_config = true,
    .can_score = true,
    .can_seed = true,
    .can_token_ids = true,
    .can_replay = false,
};

// Documents of SGLang (basic_usage/native_api, openai_api_completions); not measured.
constexpr Dialect kSglang = {
    .engine = EngineKind::sglang,
    .health_path = "/health",
    .properties_path = "/server_info",
    .count_path = "/tokenize",
    .count = TokenCount::text,
    .score_path = "/generate",  // return_logprob, logprob_start_len, token_ids_logprob
    .fingerprint_path = "",
    .native_anthropic = false,
    .chat_limit_field = "max_tokens",
    .token_ids_field = "",
    .no_cache_field = "",
    .top_k_and_min_p = true,
    .logprobs = LogprobMeaning::after_temperature,
    .top_logprobs_max = std::nullopt,
    .chosen_listed_first = false,
    .missing = MissingRecords::undocumented,
    .unasked_chat = UnaskedLogprobs::null_value,
    .unasked_completions = UnaskedLogprobs::null_value,
    .records_alone = false,
    .completion_lists = true,
    .audit_field = "",
    .order = kSglangOrder,
    .defaults = {},  // --sampling-defaults model
    .fingerprint_tells_config = false,
    .can_score = true,
    .can_seed = false,  // only with --enable-deterministic-inference
    .can_token_ids = false,
    .can_replay = false,
};

// OpenAI's API reference; stands for any server of which no more is known.
constexpr Dialect kOpenAi = {
    .engine = EngineKind::openai,
    .health_path = "",
    .properties_path = "",
    .count_path = "",
    .count = TokenCount::none,
    .score_path = "",
    .fingerprint_path = "",
    .native_anthropic = false,
    .chat_limit_field = "max_completion_tokens",  // newer models refuse max_tokens
    .token_ids_field = "",
    .no_cache_field = "",
    .top_k_and_min_p = false,
    .logprobs = LogprobMeaning::undocumented,
    .top_logprobs_max = 20,
    .chosen_listed_first = false,
    .missing = MissingRecords::undocumented,
    .unasked_chat = UnaskedLogprobs::null_value,
    .unasked_completions = UnaskedLogprobs::null_value,
    .records_alone = false,
    .completion_lists = true,
    .audit_field = "",
    .order = {},
    .defaults = {.temperature = 1.0, .top_p = 1.0, .min_p = std::nullopt, .top_k = std::nullopt},
    .fingerprint_tells_config = false,
    .can_score = false,
    .can_seed = false,  // "best effort", and deprecated
    .can_token_ids = false,
    .can_replay = false,
};

constexpr std::array kDialects = {kTruekeel, kLlamaCpp, kVllm, kSglang, kOpenAi};

}  // namespace

std::span<const Dialect> dialects() { return kDialects; }

const Dialect& dialect(EngineKind engine) {
  const auto* const found = std::ranges::find(kDialects, engine, &Dialect::engine);
  TK_ASSERT(found != kDialects.end());
  return *found;
}

}  // namespace truekeel::protocol
