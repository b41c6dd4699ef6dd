// SPDX-License-Identifier: Apache-2.0
#include "sentinel/plan.h"

#include <algorithm>
#include <array>
#include <limits>

namespace truekeel::sentinel {
namespace {

using protocol::JsonMember;
using protocol::OpenAiCall;
using protocol::OpenAiRequest;

/// Members that leave the law of a token alone, or that are read below.
constexpr std::array<std::string_view, 27> kUnderstood = {"model",
                                                          "messages",
                                                          "prompt",
                                                          "stream",
                                                          "stream_options",
                                                          "max_tokens",
                                                          "max_completion_tokens",
                                                          "n_predict",
                                                          "temperature",
                                                          "top_p",
                                                          "top_k",
                                                          "min_p",
                                                          "seed",
                                                          "stop",
                                                          "n",
                                                          "user",
                                                          "metadata",
                                                          "store",
                                                          "service_tier",
                                                          "prompt_cache_key",
                                                          "safety_identifier",
                                                          "logprobs",
                                                          "top_logprobs",
                                                          "return_token_ids",
                                                          "cache_prompt",
                                                          "presence_penalty",
                                                          "frequency_penalty"};

bool is_null(const JsonMember& member, std::string_view body) { return member.value.of(body) == "null"; }

/// A member that does nothing here because of its value.
bool is_idle(const JsonMember& member, const OpenAiRequest& request, std::string_view body) {
  if (is_null(member, body)) return true;
  if (member.name == "logit_bias") return !request.sampling.logit_bias;
  if (member.name == "tools" || member.name == "functions") return !request.tools;
  if (member.name == "response_format") return !request.response_format;
  return false;
}

/// The field is stated, but not as a number that could be read: the server may make something else of it.
template <class T>
bool is_odd(std::string_view name, const std::optional<T>& read, const OpenAiRequest& request,
            std::string_view body) {
  const auto stated = std::ranges::find(request.members, name, &JsonMember::name);
  return stated != request.members.end() && !read && !is_null(*stated, body);
}

bool is_modelled(const OpenAiRequest& request, std::string_view body) {
  for (const JsonMember& member : request.members)
    if (std::ranges::find(kUnderstood, member.name) == kUnderstood.end() && member.name != "audit" &&
        !is_idle(member, request, body))
      return false;
  const auto& fields = request.sampling;
  const auto odd = [&](std::string_view field, const auto& read) {
    return is_odd(field, read, request, body);
  };
  if (odd("temperature", fields.temperature) || odd("top_p", fields.top_p) || odd("min_p", fields.min_p) ||
      odd("top_k", fields.top_k) || odd("seed", fields.seed) ||
      odd("presence_penalty", fields.presence_penalty) || odd("frequency_penalty", fields.frequency_penalty))
    return false;
  return fields.presence_penalty.value_or(0) == 0 && fields.frequency_penalty.value_or(0) == 0;
}

/// Engines clamp what lies between greedy and this; nobody wants more than the other.
constexpr double kTemperatureLeast = 0.02, kTemperatureMost = 10;

std::expected<evidence::Sampling, Skip> effective(const OpenAiRequest& request, const Defaults& defaults) {
  const auto& fields = request.sampling;
  const auto or_else = [](auto stated, auto otherwise) { return stated ? stated : otherwise; };
  const auto temperature = or_else(fields.temperature, defaults.temperature);
  if (!temperature) return std::unexpected(Skip::temperature_unknown);
  if (*temperature < 0 || *temperature > kTemperatureMost ||
      (*temperature > 0 && *temperature < kTemperatureLeast))
    return std::unexpected(Skip::parameters);
  const auto top_p = or_else(fields.top_p, defaults.top_p);
  const auto min_p = or_else(fields.min_p, defaults.min_p);
  const auto top_k = or_else(fields.top_k, defaults.top_k);
  if (top_p.value_or(1) <= 0 || min_p.value_or(0) < 0 || min_p.value_or(0) > 1)
    return std::unexpected(Skip::parameters);
  evidence::Sampling sampling{.temperature = temperature,
                              .filters_known = top_p && min_p && top_k,
                              .top_p = std::min(1.0, top_p.value_or(1)),
                              .min_p = min_p.value_or(0)};
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  sampling.top_k = static_cast<std::uint32_t>(std::clamp<std::int64_t>(top_k.value_or(0), 0, kMost));
  return sampling;
}

/// What to add for the records, or why there will be none to use.
std::expected<void, Skip> ask_for_records(AuditPlan& plan, const OpenAiRequest& request,
                                          const protocol::Dialect& dialect, std::uint32_t top) {
  const bool chat = request.call == OpenAiCall::chat;
  if (!chat && dialect.completion_lists) return std::unexpected(Skip::older_lists);
  const auto stated = [&](std::string_view field) {
    return std::ranges::find(request.members, field, &JsonMember::name) != request.members.end();
  };
  plan.unasked.shown = chat ? dialect.unasked_chat : dialect.unasked_completions;
  plan.unasked.records_alone = dialect.records_alone;
  if (!dialect.audit_field.empty() && !stated(dialect.audit_field)) {
    plan.edits.push_back({dialect.audit_field, "\"full\""});
    plan.unasked.audit = true;
  }
  if (request.logprobs) {
    if (request.top_logprobs.value_or(0) == 0) return std::unexpected(Skip::few_logprobs);
    return {};
  }
  // A server refuses alternatives without logprobs; that answer is the client's to have.
  if (request.top_logprobs) return std::unexpected(Skip::few_logprobs);
  const auto most = static_cast<std::uint32_t>(dialect.top_logprobs_max.value_or(static_cast<int>(top)));
  const std::string count = std::to_string(std::min(top, most));
  plan.unasked.logprobs = true;
  plan.edits.push_back({"logprobs", chat ? "true" : count});
  if (chat) plan.edits.push_back({"top_logprobs", count});
  return {};
}

}  // namespace

std::string_view name(Skip skip) {
  constexpr std::array<std::string_view, kSkips> kNames = {"sampled_out",
                                                           "dialect",
                                                           "refused",
                                                           "several_answers",
                                                           "parameters",
                                                           "shared_seed",
                                                           "temperature_unknown",
                                                           "few_logprobs",
                                                           "older_lists",
                                                           "busy"};
  return kNames[static_cast<std::size_t>(skip)];
}

Defaults defaults_of(const fleet::SamplingDefaults& configured, const Defaults& server) {
  Defaults result = server;
  if (configured.temperature) result.temperature = configured.temperature;
  if (configured.top_p) result.top_p = configured.top_p;
  if (configured.min_p) result.min_p = configured.min_p;
  if (configured.top_k) result.top_k = configured.top_k;
  return result;
}

std::expected<AuditPlan, Skip> plan_audit(const OpenAiRequest& request, std::string_view body,
                                          const protocol::Dialect& dialect, const Defaults& defaults,
                                          const AuditWish& wish) {
  if (!evidence::shipped(to_string(dialect.engine))) return std::unexpected(Skip::dialect);
  if (request.n != 1) return std::unexpected(Skip::several_answers);
  if (!defaults.plain || !is_modelled(request, body)) return std::unexpected(Skip::parameters);
  AuditPlan plan;
  auto sampling = effective(request, defaults);
  if (!sampling) return std::unexpected(sampling.error());
  plan.sampling = *sampling;
  plan.sampling.vocabulary = wish.vocabulary > 0 ? wish.vocabulary : kVocabularyMost;
  const bool random = *plan.sampling.temperature > 0;
  if (random && request.sampling.seed && *request.sampling.seed >= 0)
    return std::unexpected(Skip::shared_seed);
  if (const auto asked = ask_for_records(plan, request, dialect, wish.top_logprobs); !asked)
    return std::unexpected(asked.error());
  return plan;
}

}  // namespace truekeel::sentinel
