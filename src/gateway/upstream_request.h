// SPDX-License-Identifier: Apache-2.0
// What is sent to an endpoint on a client's behalf. Thread safety: pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "fleet/fleet.h"
#include "gateway/ask.h"
#include "gateway/shared.h"
#include "http/message.h"
#include "protocol/json_splice.h"

namespace truekeel::gateway {

/// Whether what a client sends as credentials is meant for the endpoint, or is a key of our own.
enum class ClientCredentials { pass_on, keep };

/// Path, and the client's end-to-end headers but those that are the gateway's own affair: its credentials
/// when the endpoint has a key of its own or they are kept, encodings (answers must be readable),
/// x-truekeel-*.
[[nodiscard]] http::RequestHead upstream_head(const Ask& ask, const http::Headers& client_headers,
                                              const Upstream& upstream, ClientCredentials credentials,
                                              std::string_view request_id, std::optional<Duration> time_left);

/// The member in which this endpoint takes the limit of output for such a call.
[[nodiscard]] std::string_view limit_field(const Ask& ask, const Upstream& upstream);

/// The body with the endpoint's own model name, and with exactly one limit of output, stated where the
/// request is silent; without a top_k from Anthropic's API where the endpoint does not know it; and with what
/// the audit adds. Every other byte is the client's. Nothing where the client's body is all of this already.
[[nodiscard]] std::optional<std::string> edited_body(const Ask& ask, const fleet::OutputLimit& output,
                                                     const Upstream& upstream,
                                                     std::span<const protocol::JsonEdit> audit = {});

}  // namespace truekeel::gateway
