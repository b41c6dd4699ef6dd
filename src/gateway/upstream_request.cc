// SPDX-License-Identifier: Apache-2.0
#include "gateway/upstream_request.h"

#include <algorithm>
#include <array>
#include <vector>

namespace truekeel::gateway {
namespace {

/// Headers of the client that do not travel on.
bool stays_here(std::string_view name) {
  constexpr auto kOwn = std::to_array<std::string_view>(
      {"host", "content-length", "content-type", "accept-encoding", "expect", "x-request-id", "x-api-key",
       "anthropic-version", "anthropic-beta", "authorization"});
  constexpr std::string_view kPrefix = "x-truekeel-";
  return std::ranges::any_of(kOwn,
                             [&](std::string_view own) { return http::equal_ignoring_case(name, own); }) ||
         (name.size() > kPrefix.size() && http::equal_ignoring_case(name.substr(0, kPrefix.size()), kPrefix));
}

/// What the endpoint gets as credentials: its own key, else the client's, whichever API it speaks.
std::string authorization(const http::Headers& client_headers, const Upstream& upstream,
                          ClientCredentials credentials) {
  if (!upstream.key().empty()) return "Bearer " + upstream.key();
  if (credentials == ClientCredentials::keep) return {};
  if (const auto given = client_headers.find("authorization")) return std::string(*given);
  if (const auto given = client_headers.find("x-api-key")) return "Bearer " + std::string(*given);
  return {};
}

std::ptrdiff_t limits_stated(const Ask& ask) {
  return std::ranges::count_if(ask.request.members, [](const auto& member) {
    return std::ranges::find(protocol::kMaxOutputFields, member.name) != protocol::kMaxOutputFields.end();
  });
}

}  // namespace

http::RequestHead upstream_head(const Ask& ask, const http::Headers& client_headers, const Upstream& upstream,
                                ClientCredentials credentials, std::string_view request_id,
                                std::optional<Duration> time_left) {
  http::RequestHead head;
  head.method = "POST";
  head.target = upstream.config().url.prefix;
  head.target +=
      ask.request.call == protocol::OpenAiCall::completions ? "/v1/completions" : "/v1/chat/completions";
  head.headers.add("host", upstream.authority());
  head.headers.add("content-type", "application/json");
  head.headers.add("x-request-id", request_id);
  if (const auto value = authorization(client_headers, upstream, credentials); !value.empty()) {
    head.headers.add("authorization", value);
  }
  if (time_left) {
    const auto left_ms = std::chrono::duration_cast<std::chrono::milliseconds>(*time_left).count();
    head.headers.add("x-truekeel-timeout-ms", std::to_string(left_ms));
  }
  const http::HopByHop hop_by_hop(client_headers);
  for (const auto field : client_headers) {
    if (!hop_by_hop(field.name) && !stays_here(field.name)) head.headers.add(field.name, field.value);
  }
  return head;
}

std::string_view limit_field(const Ask& ask, const Upstream& upstream) {
  return ask.request.call == protocol::OpenAiCall::chat ? upstream.dialect().chat_limit_field : "max_tokens";
}

std::optional<std::string> edited_body(const Ask& ask, const fleet::OutputLimit& output,
                                       const Upstream& upstream, std::span<const protocol::JsonEdit> audit) {
  std::vector<protocol::JsonEdit> edits(audit.begin(), audit.end());
  if (const auto& name = upstream.config().upstream_model; !name.empty() && name != ask.request.model) {
    edits.push_back({"model", protocol::quoted(name)});
  }
  const auto field = limit_field(ask, upstream);
  if (output.added) {
    edits.push_back({field, std::to_string(output.tokens)});
  } else if (const auto limit = ask.request.max_output(); limit && limits_stated(ask) > 1) {
    // Engines differ in which one they read: one alone is left, the one that routing counted with.
    for (const auto name : protocol::kMaxOutputFields) {
      if (name != field) edits.push_back({name, std::nullopt});
    }
    edits.push_back({field, std::to_string(*limit)});
  }
  // Anthropic's API has top_k, OpenAI's has not; what an OpenAI client sends is its own affair.
  if (ask.provider == protocol::Provider::anthropic && ask.request.sampling.top_k &&
      !upstream.dialect().top_k_and_min_p) {
    edits.push_back({"top_k", std::nullopt});
  }
  if (edits.empty()) return std::nullopt;
  return protocol::splice(ask.body, ask.request.members, edits);
}

}  // namespace truekeel::gateway
