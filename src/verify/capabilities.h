// SPDX-License-Identifier: Apache-2.0
// What a server can give, found out by asking it, and how to ask it from then on. Thread safety: as Server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/engine_kind.h"
#include "base/error.h"
#include "http/net.h"
#include "verify/server.h"

namespace truekeel::verify {

enum class Has : std::uint8_t { unknown, no, yes };
[[nodiscard]] std::string_view name(Has has);

/// One line of the table.
struct Capability {
  std::string_view name;
  Has has = Has::unknown;
  std::string detail;
};

struct Capabilities {
  EngineKind engine = EngineKind::openai;  ///< openai where nothing gives another away
  std::string engine_basis;                ///< what gave it away
  std::string model, fingerprint;
  std::optional<std::uint64_t> window;  ///< tokens of prompt and answer, where it is told
  std::string limit_field = "max_tokens";
  bool plain = true;      ///< false: by default it does something to the distribution that we do not model
  std::uint32_t top = 0;  ///< alternatives that come with each token; 0: no logprobs
  bool score = false;     ///< /v1/score of our worker
  bool prompt_logprobs = false;  ///< those of vLLM's completions
  std::uint64_t tokens_spent = 0;
  std::vector<Capability> table;
};

/// What a probe is told beforehand.
struct Hints {
  std::string model;                 ///< empty: the only one that is served
  std::optional<EngineKind> engine;  ///< overrides what can be found out
};

/// Error::unavailable when nobody answers, ::invalid_argument when the server wants a key or another model,
/// or answers no chat at all; the message says what to do.
[[nodiscard]] http::Task<Result<Capabilities>> probe(Server& server, Hints hints);

/// One question in chat.
struct Ask {
  std::string_view prompt;
  unsigned output_most = 1;
  double temperature = 1, top_p = 1;
  std::optional<std::uint64_t> seed = {};
  bool logprobs = true;
  bool reuse = true;   ///< what the server kept of the same prompt may be used again
  bool audit = false;  ///< the numbers of each draw too, where the engine tells them
};
/// The body for /v1/chat/completions. Filters are stated where the engine has them, so that no default
/// applies.
[[nodiscard]] std::string chat_body(const Capabilities& can, const Ask& ask);

inline constexpr const char* kChatPath = "/v1/chat/completions";

}  // namespace truekeel::verify
