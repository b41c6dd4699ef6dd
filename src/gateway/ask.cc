// SPDX-License-Identifier: Apache-2.0
#include "gateway/ask.h"

#include <array>
#include <utility>

#include "protocol/anthropic.h"

namespace truekeel::gateway {
namespace {

using protocol::OpenAiCall;
using protocol::Provider;

}  // namespace

protocol::ApiResult<Ask> read_ask(const Route& route, protocol::JsonParser& parser, std::string body) {
  Ask ask{.operation = route.operation, .provider = route.provider, .body = {}, .request = {}};
  if (route.provider == Provider::anthropic) {
    auto translated = route.operation == Operation::count_tokens
                          ? protocol::read_count_tokens(parser, body)
                          : protocol::read_anthropic_request(parser, body);
    if (!translated) return std::unexpected(std::move(translated.error()));
    ask.body = std::move(translated->openai_body);
  } else {
    ask.body = std::move(body);
  }
  ask.body.reserve(ask.body.size() + protocol::kJsonPadding);
  const auto call = route.operation == Operation::completions ? OpenAiCall::completions : OpenAiCall::chat;
  auto request = protocol::read_openai_request(call, parser, ask.body);
  if (!request) return std::unexpected(std::move(request.error()));
  ask.request = std::move(*request);
  return ask;
}

fleet::TokenRange bound_prompt(const Ask& ask, const fleet::TokenizerTraits& traits) {
  const auto& prompt = ask.request.prompt;
  fleet::PromptShape shape;
  shape.opaque = !prompt.text_only() || ask.request.tools;
  if (ask.request.call == OpenAiCall::chat) {
    shape.text_bytes = prompt.text_bytes;
    shape.kept_bytes = prompt.kept_bytes;
    shape.messages = prompt.messages;
    return fleet::bound_tokens(shape, traits);
  }
  // Each prompt of a completions call has a window of its own: the longest decides.
  if (prompt.text_bytes == 0 && prompt.suffix_bytes == 0)
    return fleet::TokenRange::exactly(prompt.token_ids_max);
  shape.text_bytes = prompt.text_bytes_max + prompt.suffix_bytes + prompt.token_ids_max;
  shape.kept_bytes = prompt.kept_bytes;
  return fleet::bound_tokens(shape, traits);
}

fleet::AffinityKey affinity_of(const Ask& ask, std::string_view session_header,
                               const fleet::AffinitySecret& secret) {
  const auto& request = ask.request;
  const std::array<std::string_view, 2> prefix = {request.model, request.stable_prefix.of(ask.body)};
  // Anthropic's metadata.user_id arrives as `user` of the translated body.
  const bool anthropic = ask.provider == Provider::anthropic;
  return fleet::affinity_key({.session_header = session_header,
                              .user = anthropic ? std::string_view() : request.user,
                              .metadata_user_id = anthropic ? request.user : std::string_view(),
                              .prompt_cache_key = request.prompt_cache_key,
                              .stable_prefix = prefix},
                             secret);
}

std::uint64_t client_hash(const std::optional<fleet::KeyHash>& key, std::string_view peer,
                          const fleet::AffinitySecret& secret) {
  fleet::AffinityInputs inputs;
  inputs.user = key ? std::string_view(reinterpret_cast<const char*>(key->data()), key->size()) : peer;
  return fleet::affinity_key(inputs, secret).hash;
}

}  // namespace truekeel::gateway
