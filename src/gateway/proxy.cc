// SPDX-License-Identifier: Apache-2.0
#include "gateway/proxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "protocol/anthropic.h"

namespace truekeel::gateway {
namespace {

/// x-truekeel-timeout-ms; anything but a positive number is ignored.
std::optional<Duration> timeout_of(const http::Headers& headers) {
  const auto text = headers.find("x-truekeel-timeout-ms");
  if (!text) return std::nullopt;
  constexpr std::uint32_t kLongestMs = 86'400'000;
  std::uint32_t value_ms = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value_ms);
  if (error != std::errc() || end != text->data() + text->size() || value_ms == 0) return std::nullopt;
  return std::chrono::milliseconds(std::min(value_ms, kLongestMs));
}

/// The key that a client presents, as either API's clients send it.
std::optional<fleet::KeyHash> presented_key(const http::Headers& headers) {
  auto key = headers.find("x-api-key");
  constexpr std::string_view kBearer = "bearer ";
  const auto value = headers.find("authorization").value_or("");
  if (!key && http::equal_ignoring_case(value.substr(0, kBearer.size()), kBearer)) {
    key = value.substr(kBearer.size());
  }
  return key && !key->empty() ? std::optional(fleet::hash_key(*key)) : std::nullopt;
}

protocol::ApiError as_error(const fleet::Denial& denial) {
  switch (denial.reason) {
    case fleet::Denial::Reason::no_key:
      return {401, "an API key is needed: send it as Authorization: Bearer KEY or as x-api-key", "",
              "missing_api_key"};
    case fleet::Denial::Reason::unknown_key:
      return {401, "this API key is not known here", "", "invalid_api_key"};
    case fleet::Denial::Reason::too_many:
      return {429, "too many requests of this API key are under way; wait for one to end", "",
              "rate_limit_exceeded"};
    case fleet::Denial::Reason::too_fast:
      return {429, "this API key sends requests too fast", "", "rate_limit_exceeded"};
  }
  return {401, "", "", ""};
}

/// A client's call while it is under way, so that it is counted out however it ends.
class Admitted {
 public:
  Admitted(Shared& shared, fleet::ClientGate::ClientId client) : shared_(shared), client_(client) {}
  ~Admitted() {
    shared_.clients([this](fleet::ClientGate& gate) { gate.release(client_); });
  }
  Admitted(const Admitted&) = delete;
  Admitted& operator=(const Admitted&) = delete;

 private:
  Shared& shared_;
  const fleet::ClientGate::ClientId client_;
};

std::string model_json(const fleet::ModelConfig& model) {
  return fmt::format(R"({{"id":{},"object":"model","created":0,"owned_by":"truekeel"}})",
                     protocol::quoted(model.name));
}

std::string request_id(PhiloxStream& random) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string id = "req_000000000000000000000000";
  std::uint64_t bits = 0;
  for (std::size_t i = 4; i < id.size(); ++i, bits >>= 4) {
    if (i == 4 || i == 20) bits = random.next();
    id[i] = kHex[bits & 15];
  }
  return id;
}

fleet::ContextPlan plan_by_bound(const Ask& ask, const fleet::ModelConfig& model,
                                 const Vocabulary& vocabulary) {
  std::optional<std::uint32_t> requested;
  if (const auto stated = ask.request.max_output()) {
    requested = static_cast<std::uint32_t>(std::min<std::uint64_t>(*stated, UINT32_MAX));
  }
  return fleet::plan_context(model, TokenCounter::bound(ask, vocabulary), requested);
}

const char* end_of(const http::Exchange& exchange, fleet::Outcome outcome, std::uint32_t status) {
  if (exchange.gone() || outcome == fleet::Outcome::client_left) return "client_left";
  if (outcome == fleet::Outcome::success) return "ok";
  if (outcome == fleet::Outcome::exhausted) return "refused";
  if (status >= 400 && status < 500) return "refused";
  return status == 200 ? "cut" : "upstream_error";
}

}  // namespace

bool is_local_peer(std::string_view address) {
  return fleet::is_loopback(address) || address == "::ffff:127.0.0.1";
}

http::ServerOptions client_port_options(const fleet::Limits& limits, unsigned threads) {
  http::ServerOptions options;
  options.parser.body_bytes = limits.body_bytes;
  options.connections = std::max<std::size_t>(1, limits.connections / threads);
  options.header = limits.header;
  options.idle = limits.idle;
  options.error_body = [](int status, std::string_view message, std::string_view target) {
    const auto provider = find_route("POST", target, false).provider;
    return http::ErrorBody{"application/json",
                           protocol::error_body(provider, {status, std::string(message), "", ""})};
  };
  return options;
}

Proxy::Proxy(http::Net& net, Shared& shared, std::uint64_t seed)
    : net_(net),
      shared_(shared),
      client_(net, {}),
      counter_(shared, client_, net),
      admission_(net, shared),
      random_(seed) {}

http::Task<void> Proxy::handle(http::Exchange& exchange) {
  const auto& request = exchange.request();
  ClientCall call{.exchange = exchange,
                  .route = find_route(request.method, request.target,
                                      request.headers.find("anthropic-version").has_value()),
                  .id = request_id(random_),
                  .client = 0,
                  .arrived = net_.now(),
                  .deadline = {},
                  .explain = false,
                  .record = {}};
  if (const auto timeout = timeout_of(request.headers)) call.deadline = call.arrived + *timeout;
  call.record.request.operation = operation_name(call.route.operation);
  const bool wants_explanation = request.headers.find("x-truekeel-explain") == "1";
  if (!shared_.has_clients()) {
    call.explain = wants_explanation && is_local_peer(exchange.peer());
    call.client = client_hash(std::nullopt, exchange.peer(), shared_.secret());
    co_await dispatch(call);
  } else {
    const auto key = presented_key(request.headers);
    const auto admitted = shared_.clients(
        [&](fleet::ClientGate& gate) { return gate.admit(key ? &*key : nullptr, call.arrived); });
    if (admitted) {
      const Admitted under_way(shared_, admitted->client);
      call.explain = wants_explanation && admitted->may_explain;
      call.client = client_hash(key, exchange.peer(), shared_.secret());
      co_await dispatch(call);
    } else {
      co_await deny(call, admitted.error());
    }
  }
  finish_record(call);
}

bool Proxy::knows_client(const http::RequestHead& request) {
  if (!shared_.has_clients()) return true;
  const auto key = presented_key(request.headers);
  return key && shared_.clients([&](const fleet::ClientGate& gate) { return gate.knows(*key); });
}

http::Task<void> Proxy::deny(ClientCall& call, const fleet::Denial& denial) {
  shared_.metrics().on_denial(fleet::to_string(denial.reason));
  call.record.request.end = "refused";
  auto refusal = error_answer(call, as_error(denial));
  if (denial.retry_after_s > 0) refusal.headers.set("retry-after", std::to_string(denial.retry_after_s));
  if (refusal.status == 401) refusal.headers.set("www-authenticate", "Bearer");
  co_await respond(call, std::move(refusal));
}

http::Task<void> Proxy::dispatch(ClientCall& call) {
  if (call.route.match == Route::Match::found) return answer(call);
  if (call.route.match == Route::Match::wrong_method) {
    auto wrong = error_answer(
        call, {405, fmt::format("this path takes {} only", call.route.allow), "", "method_not_allowed"});
    wrong.headers.set("allow", call.route.allow);
    return respond(call, std::move(wrong));
  }
  return respond(
      call,
      error_answer(
          call, {404,
                 "unknown path; served are /v1/chat/completions, /v1/completions, /v1/models, /v1/messages, "
                 "/v1/messages/count_tokens",
                 "", "not_found"}));
}

http::Task<void> Proxy::respond(ClientCall& call, WholeAnswer answer) {
  call.record.request.status = static_cast<std::uint32_t>(answer.status);
  add_own_headers(call, answer.headers);
  static_cast<void>(co_await call.exchange.respond(answer.status, answer.headers, answer.body));
}

http::Task<void> Proxy::reject(ClientCall& call, const Rejection& rejection) {
  constexpr std::uint32_t kUsualWaitS = 5;
  call.record.request.end = "refused";
  auto refusal = error_answer(call, rejection.error);
  const std::uint32_t wait_s = rejection.retry_after_s > 0     ? rejection.retry_after_s
                               : rejection.error.status == 503 ? kUsualWaitS
                                                               : 0;
  if (wait_s > 0) refusal.headers.set("retry-after", std::to_string(wait_s));
  co_await respond(call, std::move(refusal));
}

http::Task<void> Proxy::refuse(ClientCall& call, const protocol::ApiError& error) {
  co_await reject(call, {error});
}

http::Task<void> Proxy::answer(ClientCall& call) {
  if (call.route.operation == Operation::list_models || call.route.operation == Operation::show_model) {
    co_await list_models(call);
    co_return;
  }
  const auto ask = read_ask(call.route, parser_, std::move(call.exchange.body()));
  if (!ask) co_return co_await refuse(call, ask.error());
  const auto snapshot = shared_.snapshot();
  const auto* model = snapshot->config->find_model(ask->request.model);
  if (model == nullptr) {
    co_return co_await reject(call,
                              as_rejection(fleet::unknown_model(*snapshot->config, ask->request.model)));
  }
  call.record.request.model = model->name;
  const auto& vocabulary = snapshot->vocabulary_of(*model);
  if (call.route.operation == Operation::count_tokens) {
    co_return co_await count_tokens(call, *ask, *model, vocabulary);
  }

  auto context = plan_by_bound(*ask, *model, vocabulary);
  if (const auto* needed = std::get_if<fleet::CountNeeded>(&context.outcome)) {
    const auto counted = co_await counter_.count(*ask, *model, vocabulary, needed->stop_above);
    context = counted ? fleet::with_count(context, *counted) : fleet::without_count(context);
  }
  const auto session = call.exchange.request().headers.find("x-truekeel-session").value_or("");
  const auto key = affinity_of(*ask, session, shared_.secret());
  auto placed = admission_.place_now(context, key);
  if (!placed) placed = co_await admission_.wait_for_room(call, context, key);
  if (!*placed) co_return co_await reject(call, placed->error());
  const fleet::Decision& decision = **placed;
  call.record.request.counted = fleet::to_string(decision.counted);
  call.record.request.context_class = decision.model->classes[decision.class_index].name;
  for (const auto id : decision.passed_over) {
    const auto passed = std::ranges::find(decision.order, id, &fleet::Candidate::endpoint);
    shared_.metrics().on_passed_over(passed->config->name);
  }
  co_await deliver(call, *ask, decision);
}

/// Requires: the call has begun at the decision's first candidate.
http::Task<void> Proxy::deliver(ClientCall& call, const Ask& ask, const fleet::Decision& decision) {
  Attempt attempt(net_, client_, shared_, streams_, reader_, random_);
  AttemptResult result;
  std::uint32_t attempts = 0;
  bool granted = true;
  for (const auto& candidate : decision.order) {
    if (!granted) granted = try_again(call, result, attempts);
    if (!granted) break;
    // Since it was chosen it may have been drained, or given to others.
    const bool begun =
        attempts == 0 || shared_.fleet([&](fleet::Fleet& fleet) { return fleet.begin(candidate.endpoint); });
    if (!begun) continue;
    granted = false;
    if (attempts++ > 0)
      shared_.metrics().on_retry(call.record.request.endpoint, fleet::to_string(result.outcome));
    const auto& served_class = decision.model->classes[candidate.class_index];
    call.record.request.endpoint = candidate.config->name;
    call.record.request.pool = served_class.pool;
    if (auto* incidents = shared_.incidents()) {
      incidents->on_routed(call.record.request.endpoint, served_class.name, decision.affinity,
                           net_.wall_now());
    }
    if (candidate.overflow) shared_.metrics().on_overflow(served_class.pool);
    result = co_await attempt.run(call, ask, decision, candidate);
    if (result.delivered) break;
  }
  if (!result.delivered) co_await respond(call, std::move(result.answer));
  call.record.request.end = end_of(call.exchange, result.outcome, call.record.request.status);
}

bool Proxy::try_again(const ClientCall& call, const AttemptResult& result, std::uint32_t attempt) {
  if (call.exchange.gone() || result.outcome == fleet::Outcome::success) return false;
  // Generating twice does no harm but cost: nothing outside the server changes.
  const fleet::FailedAttempt failed{.outcome = result.outcome,
                                    .attempt = attempt,
                                    .idempotent = true,
                                    .answer_begun = call.exchange.started()};
  return shared_.fleet([&](fleet::Fleet& fleet) { return fleet.take_retry(failed, net_.now()); });
}

http::Task<void> Proxy::count_tokens(ClientCall& call, const Ask& ask, const fleet::ModelConfig& model,
                                     const Vocabulary& vocabulary) {
  const auto counted = co_await counter_.count(ask, model, vocabulary, engine::kCountAll);
  if (!counted) {
    co_return co_await refuse(call,
                              {501, "tokens of this request cannot be counted here", "", "not_countable"});
  }
  call.record.request.end = "ok";
  co_await respond(call, {.status = 200,
                          .headers = {{"content-type", "application/json"}},
                          .body = protocol::count_tokens_body(counted->tokens)});
}

http::Task<void> Proxy::list_models(ClientCall& call) {
  const auto snapshot = shared_.snapshot();
  const auto& config = *snapshot->config;
  std::string body;
  if (call.route.operation == Operation::show_model) {
    const auto* model = config.find_model(call.route.argument);
    if (model == nullptr) {
      co_return co_await reject(call, as_rejection(fleet::unknown_model(config, call.route.argument)));
    }
    body = model_json(*model);
  } else {
    std::string models;
    for (const auto& model : config.models) models += (models.empty() ? "" : ",") + model_json(model);
    body = fmt::format(R"({{"object":"list","data":[{}]}})", models);
  }
  call.record.request.end = "ok";
  co_await respond(
      call, {.status = 200, .headers = {{"content-type", "application/json"}}, .body = std::move(body)});
}

void Proxy::finish_record(ClientCall& call) {
  auto& record = call.record;
  auto& request = record.request;
  record.total = net_.now() - call.arrived;
  request.duration_ms = static_cast<std::uint32_t>(record.total / std::chrono::milliseconds(1));
  if (request.end.empty()) request.end = "refused";
  shared_.metrics().on_call(record);
  const bool bad = request.end == "cut" || request.end == "upstream_error";
  log(bad ? LogLevel::warning : LogLevel::debug, "request.done",
      {{"id", call.id},
       {"operation", request.operation},
       {"model", request.model},
       {"class", request.context_class},
       {"pool", request.pool},
       {"endpoint", request.endpoint},
       {"status", request.status},
       {"end", request.end},
       {"waited_ms", std::chrono::duration<double, std::milli>(record.waited).count()},
       {"ms", std::chrono::duration<double, std::milli>(record.total).count()}});
  if (auto* incidents = shared_.incidents(); incidents != nullptr && !request.model.empty()) {
    request.id = std::move(call.id);
    request.at = net_.wall_now();
    incidents->on_done(std::move(request));
  }
}

}  // namespace truekeel::gateway
