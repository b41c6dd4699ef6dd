// SPDX-License-Identifier: Apache-2.0
// A client's call, read once: what it wants in OpenAI's shape, whichever API it came by.
// Thread safety: plain values; one JsonParser per thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fleet/affinity.h"
#include "fleet/client_keys.h"
#include "fleet/token_bounds.h"
#include "gateway/route.h"
#include "protocol/errors.h"
#include "protocol/openai_request.h"

namespace truekeel::gateway {

struct Ask {
  Operation operation = Operation::chat;
  protocol::Provider provider = protocol::Provider::openai;
  std::string body;                 ///< in OpenAI's shape; the client's own bytes when it speaks OpenAI's API
  protocol::OpenAiRequest request;  ///< what was read of `body`
};

/// Requires: a route that was found and has a body. Status 400 with the field when the body is not right.
[[nodiscard]] protocol::ApiResult<Ask> read_ask(const Route& route, protocol::JsonParser& parser,
                                                std::string body);

/// What bounds the tokens of the longest prompt in it.
[[nodiscard]] fleet::TokenRange bound_prompt(const Ask& ask, const fleet::TokenizerTraits& traits);

/// The key that keeps a session on one server. `session_header`: x-truekeel-session, may be empty.
[[nodiscard]] fleet::AffinityKey affinity_of(const Ask& ask, std::string_view session_header,
                                             const fleet::AffinitySecret& secret);

/// Tells clients apart without naming them: by their key, or by their address where there are no keys.
[[nodiscard]] std::uint64_t client_hash(const std::optional<fleet::KeyHash>& key, std::string_view peer,
                                        const fleet::AffinitySecret& secret);

}  // namespace truekeel::gateway
