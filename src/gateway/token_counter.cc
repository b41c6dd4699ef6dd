// SPDX-License-Identifier: Apache-2.0
#include "gateway/token_counter.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace truekeel::gateway {
namespace {

using Json = nlohmann::json;

constexpr Duration kAskTimeout = std::chrono::seconds(5);
constexpr int kEndpointsAsked = 2;
constexpr std::size_t kAnswerBytesMax = 16u << 20;

/// A member of the body as written; `null` when it is not there.
std::string_view member(const Ask& ask, std::string_view name) {
  const auto& members = ask.request.members;
  const auto found = std::ranges::find(members, name, &protocol::JsonMember::name);
  return found == members.end() ? std::string_view("null") : found->value.of(ask.body);
}

/// What asks the endpoint to count; nothing when its dialect cannot count such a call.
std::optional<std::string> count_request(const Ask& ask, const Upstream& upstream,
                                         const fleet::ModelConfig& model) {
  const bool chat = ask.request.call == protocol::OpenAiCall::chat;
  const auto count = upstream.dialect().count;
  if (count == protocol::TokenCount::input_tokens && chat) return ask.body;
  if (count == protocol::TokenCount::none || count == protocol::TokenCount::input_tokens) return std::nullopt;
  if (count == protocol::TokenCount::text && chat) return std::nullopt;
  const auto& own_name = upstream.config().upstream_model;
  const auto name = protocol::quoted(own_name.empty() ? model.name : own_name);
  if (!chat) return fmt::format(R"({{"model":{},"prompt":{}}})", name, member(ask, "prompt"));
  return fmt::format(R"({{"model":{},"messages":{},"tools":{}}})", name, member(ask, "messages"),
                     member(ask, "tools"));
}

}  // namespace

fleet::TokenRange TokenCounter::bound(const Ask& ask, const Vocabulary& vocabulary) {
  return bound_prompt(ask, vocabulary.traits);
}

http::Task<std::optional<fleet::TokenCount>> TokenCounter::count(const Ask& ask,
                                                                 const fleet::ModelConfig& model,
                                                                 const Vocabulary& vocabulary,
                                                                 std::uint64_t stop_above) {
  const auto* tokenizer = vocabulary.tokenizer.get();
  const bool text_only = ask.request.prompt.text_only() && !ask.request.tools;
  if (tokenizer != nullptr && text_only) co_return count_here(ask, *tokenizer, stop_above);
  if (model.tokenizer == fleet::TokenizerKind::bound) co_return std::nullopt;
  co_return co_await ask_endpoints(ask, model);
}

std::optional<fleet::TokenCount> TokenCounter::count_here(const Ask& ask, const engine::Tokenizer& tokenizer,
                                                          std::uint64_t stop_above) {
  if (ask.request.call == protocol::OpenAiCall::chat) {
    const auto messages = protocol::read_messages(parser_, ask.body);
    if (!messages) return std::nullopt;
    std::vector<engine::Message> conversation;
    for (const auto& message : *messages) conversation.push_back({message.role, message.text});
    const auto counted = tokenizer.count_chat(conversation, stop_above);
    return counted ? std::optional(*counted) : std::nullopt;
  }
  const auto prompts = protocol::read_prompts(parser_, ask.body);
  if (!prompts || ask.request.prompt.suffix_bytes > 0) return std::nullopt;
  fleet::TokenCount longest{ask.request.prompt.token_ids_max, false};
  for (const auto& prompt : *prompts) {
    const auto counted = tokenizer.count(prompt, stop_above);
    if (counted.tokens > longest.tokens) longest = counted;
    if (longest.stopped) break;
  }
  return longest;
}

http::Task<std::optional<fleet::TokenCount>> TokenCounter::ask_endpoints(const Ask& ask,
                                                                         const fleet::ModelConfig& model) {
  const auto ready = shared_.fleet([&](const fleet::Fleet& fleet) {
    std::vector<fleet::EndpointId> found;
    const Instant now = net_.now();
    for (const auto id : fleet.endpoints()) {
      const auto view = fleet.view(id, now);
      const bool serves = std::ranges::any_of(
          model.classes, [&](const auto& context_class) { return context_class.pool == view.pool->name; });
      const bool counts = protocol::dialect(view.config->engine).count != protocol::TokenCount::none;
      if (serves && counts && view.state == fleet::HealthState::ready) found.push_back(id);
    }
    return found;
  });
  for (std::size_t i = 0; i < ready.size() && i < kEndpointsAsked; ++i) {
    const auto upstream = shared_.upstream(ready[i]);
    if (!upstream) continue;  // removed meanwhile
    if (const auto tokens = co_await ask_one(*upstream, ask, model)) {
      co_return fleet::TokenCount{*tokens, false};
    }
  }
  co_return std::nullopt;
}

http::Task<std::optional<std::uint64_t>> TokenCounter::ask_one(Upstream& upstream, const Ask& ask,
                                                               const fleet::ModelConfig& model) {
  const auto body = count_request(ask, upstream, model);
  if (!body) co_return std::nullopt;
  const auto answered = co_await post(upstream, upstream.dialect().count_path, *body);
  if (!answered) co_return std::nullopt;
  const auto answer = Json::parse(*answered, nullptr, false);
  if (!answer.is_object()) co_return std::nullopt;
  for (const char* name : {"count", "input_tokens"}) {
    if (const auto found = answer.find(name); found != answer.end() && found->is_number_unsigned()) {
      co_return found->get<std::uint64_t>();
    }
  }
  co_return std::nullopt;
}

http::Task<std::optional<std::string>> TokenCounter::post(Upstream& upstream, std::string_view path,
                                                          const std::string& body) {
  http::RequestHead head{.method = "POST",
                         .target = upstream.config().url.prefix + std::string(path),
                         .minor_version = 1,
                         .headers = {{"host", upstream.authority()}, {"content-type", "application/json"}}};
  if (!upstream.key().empty()) head.headers.add("authorization", "Bearer " + upstream.key());
  http::Call call(client_);
  const http::CallOptions options{
      .first_byte = kAskTimeout, .deadline = net_.now() + kAskTimeout, .idempotent = true};
  if (!co_await call.send(upstream.address(), head, body, options) || call.head().status != 200)
    co_return std::nullopt;
  auto answer = co_await call.read_all(kAnswerBytesMax);
  if (!answer) co_return std::nullopt;
  co_return std::move(*answer);
}

}  // namespace truekeel::gateway
