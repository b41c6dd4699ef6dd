// SPDX-License-Identifier: Apache-2.0
#include "verify/capabilities.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "protocol/dialect.h"
#include "protocol/json.h"
#include "protocol/properties.h"
#include "protocol/response_facts.h"
#include "protocol/token_records.h"

namespace truekeel::verify {
namespace {

using Json = nlohmann::json;

/// Emoji and scripts whose characters are split over tokens show whether those get records.
constexpr std::string_view kProbePrompt =
    "Write eight different emoji, then the word for hello in Thai, Chinese, Hindi and Arabic.";
constexpr unsigned kProbeTokens = 48;
constexpr std::uint32_t kTopMost = 20;

/// What is larger is no answer to a question about the server itself.
constexpr std::size_t kSmallBytes = 2u << 20;

constexpr const char* kSilentDefaults =
    "behind a gateway, requests that state no temperature are NOT AUDITED here unless the model's "
    "configuration states it: defaults: {temperature, top_p, top_k, min_p}";

Json parse_small(const std::string& body) {
  return body.size() > kSmallBytes ? Json() : Json::parse(body, nullptr, false);
}

std::string text_in(const Json& object, const char* name) {
  return object.is_object() && object.contains(name) && object[name].is_string()
             ? object[name].get<std::string>()
             : "";
}

std::optional<std::uint64_t> number_in(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name) || !object[name].is_number_unsigned())
    return std::nullopt;
  return object[name].get<std::uint64_t>();
}

/// What /props says of the tokens of a slot: at its top, or where llama-server has it.
std::optional<std::uint64_t> window_in(const Json& props) {
  if (!props.is_object() || !props.contains("default_generation_settings")) return number_in(props, "n_ctx");
  return number_in(props["default_generation_settings"], "n_ctx");
}

/// The text of the first choice, for comparing answers; empty where there is none.
std::string answer_text(const std::string& body) {
  const Json json = parse_small(body);
  if (!json.is_object() || !json.contains("choices") || !json["choices"].is_array() ||
      json["choices"].empty())
    return "";
  const Json& choice = json["choices"][0];
  return choice.is_object() && choice.contains("message") ? text_in(choice["message"], "content") : "";
}

class Prober {
 public:
  Prober(Server& server, Hints hints) : server_(server), hints_(std::move(hints)) {}

  http::Task<Result<Capabilities>> run() {
    if (auto found = co_await models(); !found) co_return std::unexpected(found.error());
    co_await engine();
    if (auto found = co_await chat(); !found) co_return std::unexpected(found.error());
    co_await seed();
    co_await scoring();
    co_return Result<Capabilities>(std::move(can_));
  }

 private:
  void put(std::string_view name, Has has, std::string detail = "") {
    can_.table.push_back({name, has, std::move(detail)});
  }

  http::Task<Result<void>> models() {
    auto reply = co_await server_.get("/v1/models");
    // Whoever names a model needs no list.
    if (!reply && !hints_.model.empty()) reply = Reply{.status = 0, .body = reply.error().message};
    if (!reply) co_return std::unexpected(reply.error());
    if (reply->status == 401 || reply->status == 403)
      co_return fail(
          ErrorCode::invalid_argument,
          fmt::format("{}; name the variable that holds the API key by --key-env", reply->complaint()));
    const Json json = reply->ok() ? parse_small(reply->body) : Json();
    const bool listed = json.is_object() && json.contains("data") && json["data"].is_array();
    const Json data = listed ? json["data"] : Json::array();
    can_.model = hints_.model;
    for (const Json& each : data)
      if (text_in(each, "id") == hints_.model || (hints_.model.empty() && data.size() == 1)) listed_ = each;
    if (can_.model.empty()) can_.model = text_in(listed_, "id");
    put("models", listed ? Has::yes : Has::no,
        listed ? fmt::format("{} listed; asked: {}", data.size(), can_.model) : reply->complaint());
    if (can_.model.empty()) {
      co_return fail(ErrorCode::invalid_argument,
                     data.empty() ? "no model is listed; name one by --model"
                                  : fmt::format("{} models are listed; choose one by --model", data.size()));
    }
    co_return Result<void>();
  }

  void is(EngineKind engine, std::string basis) {
    can_.engine = engine;
    can_.engine_basis = std::move(basis);
  }

  http::Task<void> engine() {
    const std::string owner = text_in(listed_, "owned_by");
    can_.window = number_in(listed_, "max_model_len");
    const auto fingerprint = co_await server_.get("/v1/fingerprint");
    const auto props = co_await server_.get("/props");
    const auto version = co_await server_.get("/version");
    const auto ok = [](const auto& reply) { return reply && reply->ok(); };
    const Json shown = ok(fingerprint) ? parse_small(fingerprint->body) : Json();
    const auto properties =
        ok(props) ? protocol::read_llama_properties(props->body) : fail(ErrorCode::not_found, "none");
    const std::string number = ok(version) ? text_in(parse_small(version->body), "version") : "";
    is(EngineKind::openai, "nothing gives an engine away");
    if (shown.is_object() && shown.contains("numerics")) {
      is(EngineKind::truekeel, "/v1/fingerprint");
    } else if (properties) {
      is(EngineKind::llama_cpp, "/props");
      can_.plain = properties->plain;
    } else if (owner == "vllm" && !number.empty()) {
      is(EngineKind::vllm, "/version " + number);
    } else if (owner == "sglang") {
      is(EngineKind::sglang, "/v1/models");
    }
    if (ok(props) && !can_.window) can_.window = window_in(parse_small(props->body));
    if (hints_.engine) is(*hints_.engine, "--engine");
    put("engine", can_.engine == EngineKind::openai ? Has::unknown : Has::yes,
        fmt::format("{} ({})", to_string(can_.engine), can_.engine_basis));
    put("properties (/props)", ok(props) ? Has::yes : Has::no,
        can_.window ? fmt::format("window of {} tokens", *can_.window) : "");
    const bool tells = can_.engine == EngineKind::truekeel || (properties && properties->temperature);
    put("tells its sampling defaults", tells ? Has::yes : Has::no, tells ? "" : kSilentDefaults);
    if (!can_.plain)
      put("plain defaults", Has::no, "penalties or samplers that are not modelled are on by default");
  }

  /// Asks in the shape that the engine should take, then in humbler ones.
  http::Task<Result<void>> chat() {
    const std::string_view first = protocol::dialect(can_.engine).chat_limit_field;
    const std::string_view other = first == "max_tokens" ? "max_completion_tokens" : "max_tokens";
    std::string refusal;
    for (const std::uint32_t top : {kTopMost, 5u, 0u}) {
      for (const std::string_view field : {first, other}) {
        can_.top = top;
        can_.limit_field = field;
        const auto reply = co_await ask(7, top > 0);
        if (!reply) co_return std::unexpected(reply.error());
        if (reply->ok()) co_return read_chat(*reply, top > 0 ? std::string() : refusal);
        if (reply->status != 400 && reply->status != 422)
          co_return fail(ErrorCode::invalid_argument, "chat completions: " + reply->complaint());
        if (refusal.empty()) refusal = reply->complaint();
      }
    }
    co_return fail(ErrorCode::invalid_argument, "chat completions: " + refusal);
  }

  http::Task<Result<Reply>> ask(std::uint64_t seed, bool logprobs) {
    auto reply = co_await server_.post(kChatPath, chat_body(can_, {.prompt = kProbePrompt,
                                                                   .output_most = kProbeTokens,
                                                                   .seed = seed,
                                                                   .logprobs = logprobs,
                                                                   .reuse = false}));
    protocol::ResponseReader reader;
    if (reply && reply->ok()) {
      const auto facts = reader.read(reply->body);
      const auto usage = facts ? facts->usage : std::nullopt;
      can_.tokens_spent += usage ? usage->prompt_tokens + usage->completion_tokens : kProbeTokens;
    }
    co_return reply;
  }

  Result<void> read_chat(const Reply& reply, const std::string& refusal) {
    protocol::ResponseReader reader;
    const auto facts = reader.read(reply.body);
    if (!facts || facts->choices == 0)
      return fail(ErrorCode::invalid_argument,
                  "chat completions: the answer is no completion in OpenAI's shape");
    text_ = answer_text(reply.body);
    can_.fingerprint = std::string(facts->system_fingerprint.substr(0, 64));
    protocol::TokenRecordReader records;
    protocol::TokenRecords read;
    std::uint32_t listed = 0;
    for (const auto& at : facts->records)
      if (at.kind == protocol::RecordsAt::Kind::logprobs && at.choice == 0 &&
          records.read(at.value.of(reply.body), "", read))
        for (const auto& token : read.tokens) listed = std::max(listed, token.listed);
    can_.top = std::min(listed, kTopMost);
    put("logprobs", can_.top > 0 ? Has::yes : Has::no,
        can_.top > 0          ? fmt::format("top {}", can_.top)
        : !refusal.empty()    ? refusal
        : read.tokens.empty() ? "asked for, and not given"
                              : "of the drawn token alone");
    put_records(*facts, read);
    put("fingerprint", can_.fingerprint.empty() ? Has::no : Has::yes, can_.fingerprint);
    return {};
  }

  void put_records(const protocol::ResponseFacts& facts, const protocol::TokenRecords& read) {
    if (read.tokens.empty()) return;
    const auto drawn = facts.predicted ? facts.predicted
                       : facts.usage   ? std::optional(facts.usage->completion_tokens)
                                       : std::nullopt;
    if (!drawn) return put("record of every token", Has::unknown, "the number of tokens is not told");
    put("record of every token", read.tokens.size() == *drawn ? Has::yes : Has::no,
        fmt::format("{} records of {} tokens", read.tokens.size(), *drawn));
    const bool ids = read.tokens[0].id != protocol::kNoNumber;
    put("token ids in records", ids ? Has::yes : Has::no);
  }

  http::Task<void> seed() {
    const auto again = co_await ask(7, can_.top > 0), other = co_await ask(8, can_.top > 0);
    const auto ok = [](const auto& reply) { return reply && reply->ok(); };
    if (!ok(again) || !ok(other)) {
      put("seed", Has::unknown, "the answer did not come");
      co_return;
    }
    const bool same = answer_text(again->body) == text_, differs = answer_text(other->body) != text_;
    put("seed", same && differs ? Has::yes : Has::no,
        same && differs ? "an equal seed gave an equal answer, another one another"
        : same          ? "every seed gave the same answer"
                        : "an equal seed gave another answer");
  }

  http::Task<void> scoring() {
    const std::string model = protocol::quoted(can_.model);
    const auto count = co_await server_.post(
        "/tokenize", fmt::format(R"({{"model":{},"prompt":"one two","content":"one two"}})", model));
    put("counts tokens (/tokenize)", count && count->ok() ? Has::yes : Has::no);
    const auto score = co_await server_.post(
        "/v1/score",
        fmt::format(R"({{"model":{},"prompt":"one two","continuation":" three","top_logprobs":1}})", model));
    can_.score = score && score->ok() && text_in(parse_small(score->body), "object") == "score";
    put("scores given text (/v1/score)", can_.score ? Has::yes : Has::no);
    const auto completion = co_await server_.post(
        "/v1/completions",
        fmt::format(R"({{"model":{},"prompt":"one two three","max_tokens":1,"prompt_logprobs":1}})", model));
    const Json json = completion && completion->ok() ? parse_small(completion->body) : Json();
    can_.prompt_logprobs = json.is_object() && json.contains("choices") && json["choices"].is_array() &&
                           !json["choices"].empty() && json["choices"][0].is_object() &&
                           json["choices"][0].contains("prompt_logprobs") &&
                           json["choices"][0]["prompt_logprobs"].is_array();
    put("logprobs of prompts", can_.prompt_logprobs ? Has::yes : Has::no);
  }

  Server& server_;
  const Hints hints_;
  Capabilities can_;
  Json listed_;
  std::string text_;
};

}  // namespace

std::string_view name(Has has) {
  constexpr std::array<std::string_view, 3> kNames = {"unknown", "no", "yes"};
  return kNames[std::to_underlying(has)];
}

http::Task<Result<Capabilities>> probe(Server& server, Hints hints) {
  Prober prober(server, std::move(hints));
  co_return co_await prober.run();
}

std::string chat_body(const Capabilities& can, const Ask& ask) {
  const auto& dialect = protocol::dialect(can.engine);
  std::string body = fmt::format(R"({{"model":{},"messages":[{{"role":"user","content":{}}}],)",
                                 protocol::quoted(can.model), protocol::quoted(ask.prompt));
  body += fmt::format(R"("{}":{},"temperature":{},"top_p":{})", can.limit_field, ask.output_most,
                      ask.temperature, ask.top_p);
  if (dialect.top_k_and_min_p)
    body += fmt::format(R"(,"top_k":{},"min_p":0)", can.engine == EngineKind::sglang ? -1 : 0);
  if (ask.seed) body += fmt::format(R"(,"seed":{})", *ask.seed);
  if (ask.logprobs && can.top > 0) body += fmt::format(R"(,"logprobs":true,"top_logprobs":{})", can.top);
  if (!ask.reuse && !dialect.no_cache_field.empty())
    body += fmt::format(R"(,"{}":false)", dialect.no_cache_field);
  if (ask.audit && !dialect.audit_field.empty()) body += fmt::format(R"(,"{}":"full")", dialect.audit_field);
  return body + "}";
}

}  // namespace truekeel::verify
