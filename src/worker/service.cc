// SPDX-License-Identifier: Apache-2.0
#include "worker/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "worker/mailbox.h"
#include "worker/shared.h"

namespace truekeel::worker {
namespace {

/// A server that has done nothing for so long generates a token of its own.
constexpr Duration kIdle = std::chrono::seconds(10);
/// Without progress for so long it is not ready. A piece of a prompt takes seconds at worst.
constexpr Duration kProgressLately = std::chrono::seconds(30);
/// For error events and last bytes after the deadline of a drain.
constexpr Duration kLastWords = std::chrono::seconds(2);
constexpr Duration kPoll = std::chrono::milliseconds(50);

/// Prompts are text; the longest window of today's models holds less.
constexpr std::size_t kBodyBytesMax = 16 << 20;

using OrderedJson = nlohmann::ordered_json;

std::string replay_of(const ServiceOptions& options) {
  return options.exactness.width_max() >= options.width_max ? "exact" : "fast";
}

http::ServerOptions server_options() {
  http::ServerOptions options;
  options.parser.body_bytes = kBodyBytesMax;
  options.error_body = [](int status, std::string_view message, std::string_view) {
    const protocol::ApiError error{
        .status = status, .message = std::string(message), .param = "", .code = ""};
    return http::ErrorBody{"application/json", protocol::error_body(protocol::Provider::openai, error)};
  };
  return options;
}

std::string models_json(const Shared& shared) {
  const auto& info = shared.info;
  const OrderedJson model = {{"id", shared.limits.model},
                             {"object", "model"},
                             {"created", shared.started_s},
                             {"owned_by", "truekeel"},
                             {"max_model_len", shared.ctx()},
                             {"meta",
                              {{"name", info.model_name},
                               {"n_ctx", shared.ctx()},
                               {"n_ctx_train", info.ctx_trained},
                               {"n_vocab", shared.limits.vocabulary},
                               {"n_params", info.parameters},
                               {"size", info.model_bytes}}}};
  return OrderedJson{{"object", "list"}, {"data", {model}}}.dump();
}

/// The window of one slot, and what happens when a request is silent.
std::string props_json(const Shared& shared) {
  const Sampling defaults;
  const OrderedJson params = {{"temperature", defaults.temperature},
                              {"top_k", defaults.top_k},
                              {"top_p", defaults.top_p},
                              {"min_p", defaults.min_p},
                              {"presence_penalty", defaults.presence},
                              {"frequency_penalty", defaults.frequency},
                              {"max_tokens", "to the end of the window"}};
  return OrderedJson{{"default_generation_settings", {{"n_ctx", shared.ctx()}, {"params", params}}},
                     {"total_slots", shared.info.slots},
                     {"model_alias", shared.limits.model},
                     {"system_fingerprint", shared.fingerprint.name},
                     {"build_info", shared.info.numerics.engine}}
      .dump();
}

}  // namespace

struct Service::State {
  State(http::Net& net, engine::Engine& engine, const ServiceOptions& options)
      : replay(replay_of(options)),
        tokenizer(engine.vocabulary()),
        fingerprint(make_fingerprint(engine.info(), options.selection,
                                     {.width_max = options.width_max,
                                      .queue = options.queue,
                                      .given_piece = options.given_piece,
                                      .replay = replay,
                                      .exact_widths = options.exactness.widths()})),
        metrics(options.model, fingerprint.name),
        inference(engine, options.width_max, options.queue, options.selection, options.given_piece,
                  options.faults),
        shared{.context = net.context(),
               .net = net,
               .info = engine.info(),
               .tokenizer = tokenizer,
               .inference = inference,
               .metrics = metrics,
               .fingerprint = fingerprint,
               .limits = {.model = options.model,
                          .vocabulary = static_cast<std::uint32_t>(engine.vocabulary().size()),
                          .choices_max = engine.info().slots},
               .started_s = std::chrono::duration_cast<std::chrono::seconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count(),
               .replays_exactly = replay == "exact",
               .faults = options.faults},
        server(net, server_options(), [this](http::Exchange& exchange) { return handle(exchange); }) {}

  http::Task<void> handle(http::Exchange& exchange);
  http::Task<void> handle_get(Call& call);
  http::Task<void> probe();
  http::Task<void> probe_when_idle();
  [[nodiscard]] bool ready() const;

  const std::string replay;
  const engine::Tokenizer tokenizer;
  const Fingerprint fingerprint;
  Metrics metrics;
  InferenceThread inference;
  Shared shared;
  http::Server server;
};

bool Service::State::ready() const {
  const auto counters = inference.counters();
  return !shared.draining && counters.completion_tokens > 0 &&
         shared.net.now() - counters.progress < kProgressLately;
}

http::Task<void> Service::State::handle(http::Exchange& exchange) {
  struct Route {
    std::string_view method, path;
    http::Task<void> (*handler)(State&, Call&);
  };
  static constexpr auto get = [](State& state, Call& call) { return state.handle_get(call); };
  static constexpr std::array<Route, 13> kRoutes = {{
      {"POST", "/v1/chat/completions", [](State&, Call& call) { return handle_generation(call, true); }},
      {"POST", "/v1/completions", [](State&, Call& call) { return handle_generation(call, false); }},
      {"POST", "/v1/score", [](State&, Call& call) { return handle_score(call); }},
      {"POST", "/v1/replay", [](State&, Call& call) { return handle_replay(call); }},
      {"POST", "/tokenize", [](State&, Call& call) { return handle_tokenize(call); }},
      {"GET", "/v1/models", get},
      {"GET", "/v1/fingerprint", get},
      {"GET", "/props", get},
      {"GET", "/health", get},
      {"GET", "/ready", get},
      {"GET", "/metrics", get},
      {"GET", "/livez", get},
      {"*", "/v1/fault", [](State&, Call& call) { return handle_fault(call); }},
  }};
  const auto& request = exchange.request();
  const auto path = std::string_view(request.target).substr(0, request.target.find('?'));
  const auto named = std::ranges::find(kRoutes, path, &Route::path);
  const auto now = shared.net.now();
  Call call{shared, exchange, named == kRoutes.end() ? "other" : named->path, now,
            deadline_of(request.headers, now)};
  const bool there = named != kRoutes.end() && (named->method != "*" || shared.faults != nullptr);
  if (!there) {
    co_await respond_error(call, {.status = 404,
                                  .message = fmt::format("There is no '{}' here.", path),
                                  .param = "",
                                  .code = "not_found"});
  } else if (named->method != "*" && named->method != request.method &&
             !(named->method == "GET" && request.method == "HEAD")) {
    co_await respond_error(call, {.status = 405,
                                  .message = fmt::format("'{}' takes {}.", path, named->method),
                                  .param = "",
                                  .code = "method_not_allowed"});
  } else if (shared.draining && named->method == "POST") {
    co_await respond_error(
        call,
        {.status = 503, .message = "The server is shutting down.", .param = "", .code = "shutting_down"});
  } else {
    co_await named->handler(*this, call);
  }
}

http::Task<void> Service::State::handle_get(Call& call) {
  if (call.route == "/v1/models") co_return co_await respond_json(call, models_json(shared));
  if (call.route == "/v1/fingerprint") co_return co_await respond_json(call, fingerprint.json);
  if (call.route == "/props") co_return co_await respond_json(call, props_json(shared));
  if (call.route == "/ready" && !ready()) {
    co_return co_await respond_error(
        call, {.status = 503,
               .message = shared.draining ? "The server is shutting down." : "No token was generated lately.",
               .param = "",
               .code = "not_ready"});
  }
  if (call.route == "/metrics") {
    const auto text = metrics.text(inference.counters(), ready());
    metrics.answered(call.route, 200);
    co_await call.exchange.respond(200, {{"content-type", "text/plain; version=0.0.4"}}, text);
    co_return;
  }
  co_await respond_json(call, R"({"status":"ok"})");
}

/// Has a token generated, as a client would.
http::Task<void> Service::State::probe() {
  const auto mailbox = std::make_shared<Mailbox>(shared.context);
  const MailboxCloser closer(*mailbox);
  auto job = std::make_unique<Job>();
  (void)tokenizer.tokenize("Hello", engine::kPrompt, engine::kCountAll, job->prompt);
  job->sampling.temperature = 0;
  job->sink = mailbox->sink(0);
  if (!inference.submit(std::move(job))) co_return;  // others ask for tokens
  while (true) {
    for (const auto& delivery : co_await mailbox->take()) {
      if (delivery.ending) co_return;
    }
  }
}

http::Task<void> Service::State::probe_when_idle() {
  while (!shared.draining) {
    co_await shared.net.sleep_until(shared.net.now() + kIdle / 10);
    const auto counters = inference.counters();
    const bool idle = counters.busy_slots == 0 && counters.waiting == 0;
    if (idle && !shared.draining && shared.net.now() - counters.progress > kIdle) co_await probe();
  }
}

Service::Service(http::Net& net, engine::Engine& engine, const ServiceOptions& options)
    : state_(std::make_unique<State>(net, engine, options)) {}

Service::~Service() = default;

Result<std::uint16_t> Service::listen(const http::Endpoint& at) { return state_->server.listen(at); }

http::Task<void> Service::warm_up() {
  co_await state_->probe();
  http::spawn(state_->shared.net, state_->probe_when_idle());
}

http::Task<void> Service::drain(Instant deadline) {
  auto& net = state_->shared.net;
  state_->shared.draining = true;
  state_->server.stop_accepting();
  while (state_->server.exchanges() > 0 && net.now() < deadline) {
    co_await net.sleep_until(net.now() + kPoll);
  }
  state_->inference.stop();
  co_await state_->server.drain(net.now() + kLastWords);
}

const std::string& Service::replay() const { return state_->replay; }

}  // namespace truekeel::worker
