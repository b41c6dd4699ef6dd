// SPDX-License-Identifier: Apache-2.0
// For the simulation: an inference server that answers, stalls, dies in the middle, lies or sends junk.
// Thread safety: one thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/philox.h"
#include "gateway/test_judge.h"
#include "http/server.h"
#include "http/sim_net.h"

namespace truekeel::gateway {

class SimulatedUpstream {
 public:
  struct Character {
    std::uint64_t window = 0;
    double misbehaves = 0;    ///< share of requests
    bool lies = false;        ///< is fine when probed, fails everybody else
    bool knows_limit = true;  ///< takes the member in which the gateway states a limit
    std::size_t network_bytes = 0;
  };

  SimulatedUpstream(http::SimWorld& world, const std::string& name, const Character& character, Judge& judge,
                    std::uint64_t seed)
      : net_(world.host(name)),
        name_(name),
        character_(character),
        judge_(judge),
        random_(seed),
        server_(net_, options(), [this](http::Exchange& exchange) { return handle(exchange); }) {}

  void listen() { EXPECT_TRUE(server_.listen({"", 80})); }
  [[nodiscard]] std::size_t exchanges() const { return server_.exchanges(); }

 private:
  using Json = nlohmann::json;

  static http::ServerOptions options() {
    http::ServerOptions options;
    options.idle = std::chrono::seconds(40);
    options.body = std::chrono::seconds(30);
    return options;
  }

  http::Task<void> pause(std::uint64_t ms_max) {
    return net_.sleep_until(net_.now() + std::chrono::milliseconds(random_.below(ms_max)));
  }

  http::Task<void> handle(http::Exchange& exchange) {
    const auto body = Json::parse(exchange.body());
    const auto number = exchange.request().headers.find("x-call");
    if (!number) co_return co_await answer_probe(exchange);
    const auto call = std::stoull(std::string(*number));
    const auto attempt = judge_.asked(call, name_, character_.window);
    const bool stated = body.contains("max_tokens") || body.contains("max_completion_tokens");
    EXPECT_TRUE(stated || !character_.knows_limit) << "no limit of output reached " << name_;
    if (stated && !character_.knows_limit && exchange.request().headers.find("x-silent")) {
      co_return co_await answer_error(exchange, 400, "unknown field max_completion_tokens");
    }
    if (character_.lies) co_return co_await answer_error(exchange, 500, "out of memory");
    if (random_.below(4) == 0) co_await pause(2000);
    const bool bad = random_.uniform() < character_.misbehaves;
    const bool whole = !body.value("stream", false);
    const http::Headers headers = {{"content-type", whole ? "application/json" : "text/event-stream"},
                                   {"x-attempt", std::to_string(attempt)}};
    if (bad && random_.below(2) == 0) co_return co_await fail(exchange);
    if (whole) {
      const auto text = whole_answer(call);
      if (!bad) co_return (void) co_await exchange.respond(200, headers, text);
      exchange.start(200, headers);
      co_await exchange.write(std::string_view(text).substr(0, random_.below(text.size())));
      co_return exchange.abort();
    }
    co_await stream(exchange, headers, call, bad);
  }

  http::Task<void> answer_probe(http::Exchange& exchange) {
    co_await exchange.respond(200, {{"content-type", "application/json"}}, whole_answer(std::nullopt));
  }

  http::Task<void> answer_error(http::Exchange& exchange, int status, const std::string& message) {
    const Json body = {{"error", {{"message", message}, {"type", "server_error"}}}};
    co_await exchange.respond(status, {{"content-type", "application/json"}}, body.dump());
  }

  /// What a server does that gives no answer at all.
  http::Task<void> fail(http::Exchange& exchange) {
    constexpr int kStatuses[] = {500, 503, 429, 502};
    switch (random_.below(4)) {
      case 0:
        co_return co_await answer_error(exchange, kStatuses[random_.below(4)], "no");
      case 1:
        co_await exchange.respond(502, {{"content-type", "text/html"}}, "<html>bad gateway</html>");
        co_return;
      case 2:
        co_await exchange.respond(200, {{"content-type", "application/json"}}, "{\"choices\": nonsense");
        co_return;
      default:
        // Longer than anybody is ready to wait.
        for (int s = 0; s < 130 && !exchange.gone(); ++s)
          co_await net_.sleep_until(net_.now() + std::chrono::seconds(1));
        co_return exchange.abort();
    }
  }

  [[nodiscard]] std::string whole_answer(std::optional<std::uint64_t> call) {
    const std::size_t words = call ? judge_.call(*call).words : 1;
    return Json{{"id", "c"},
                {"object", "chat.completion"},
                {"created", 1},
                {"model", "m"},
                {"choices",
                 {{{"index", 0},
                   {"message", {{"role", "assistant"}, {"content", answer_text(call.value_or(0), words)}}},
                   {"finish_reason", "stop"}}}},
                {"usage", {{"prompt_tokens", 3}, {"completion_tokens", words}, {"total_tokens", words + 3}}}}
        .dump();
  }

  static std::string chunk(Json delta, Json reason) {
    return "data: " +
           Json{{"id", "c"},
                {"object", "chat.completion.chunk"},
                {"created", 1},
                {"model", "m"},
                {"choices",
                 {{{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", std::move(reason)}}}}}
               .dump() +
           "\n\n";
  }

  http::Task<void> stream(http::Exchange& exchange, const http::Headers& headers, std::uint64_t call,
                          bool bad) {
    const std::size_t words = judge_.call(call).words;
    const std::size_t stop_at = bad ? random_.below(words) : words;
    const std::string text = answer_text(call, stop_at);
    exchange.start(200, headers);
    for (std::size_t at = 0, end = 0; at < text.size(); at = end) {
      end = std::min(text.size(), at + 1 + random_.below(400));
      const auto event = chunk({{"content", text.substr(at, end - at)}}, nullptr);
      judge_.wrote(call, end - at, character_.network_bytes);
      if (!co_await exchange.write(event)) co_return;
      if (random_.below(16) == 0) co_await pause(200);
    }
    if (!bad) {
      co_await exchange.finish(chunk(Json::object(), "stop") + "data: [DONE]\n\n");
    } else if (random_.below(2) == 0) {
      co_await exchange.finish();  // an orderly end, without the end of the answer
    } else {
      exchange.abort();
    }
  }

  http::Net& net_;
  const std::string name_;
  const Character character_;
  Judge& judge_;
  PhiloxStream random_;
  http::Server server_;
};

}  // namespace truekeel::gateway
