// SPDX-License-Identifier: Apache-2.0
// For the simulation: clients of both APIs, which leave, read slowly, set deadlines, and check what they get.
// Thread safety: one thread.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/philox.h"
#include "gateway/test_judge.h"
#include "http/client.h"
#include "http/deadline.h"
#include "protocol/response_facts.h"
#include "protocol/sse.h"

namespace truekeel::gateway {

class SimulatedClient {
 public:
  static constexpr std::uint64_t kDefaultOutput = 512;
  static constexpr std::uint64_t kLargestWindow = 32768;

  /// `waits_for_nothing`: the network loses nothing in silence, so that a call must never run into the
  /// client's own limits of time, which are longer than all of the gateway's.
  SimulatedClient(http::Net& net, http::Client& client, Judge& judge, std::uint64_t seed,
                  bool waits_for_nothing)
      : net_(net), client_(client), judge_(judge), random_(seed), waits_for_nothing_(waits_for_nothing) {}

  http::Task<void> call_often(int calls, std::vector<std::string> gateways) {
    for (int i = 0; i < calls; ++i) {
      co_await call_once({gateways[random_.below(gateways.size())], 80});
      co_await pause(500);
    }
  }

 private:
  using Json = nlohmann::json;

  struct Wish {
    bool anthropic = false, stream = false, slow = false;
    bool too_long = false;  ///< for every window, whatever the prompt's tokens are
    std::uint64_t number = 0;
  };

  http::Task<void> pause(std::uint64_t ms_max) {
    return net_.sleep_until(net_.now() + std::chrono::milliseconds(random_.below(ms_max)));
  }

  /// Around the boundaries of the classes more often than elsewhere.
  std::uint64_t draw_prompt_bytes() {
    switch (random_.below(8)) {
      case 0:
        return 1400 + random_.below(200);
      case 1:
        return 10'000 + random_.below(20'000);
      case 2:
        return 30'000 + random_.below(5'000);
      default:
        return 1 + random_.below(600);
    }
  }

  http::Task<void> call_once(http::Endpoint gateway) {
    Wish wish{
        .anthropic = random_.below(3) == 0, .stream = random_.below(2) == 0, .slow = random_.below(16) == 0};
    const std::uint64_t bytes = draw_prompt_bytes();
    const bool silent = !wish.anthropic && random_.below(2) == 0;
    std::uint64_t output = silent ? kDefaultOutput : 1 + random_.below(600);
    if (!silent && random_.below(20) == 0) output += kLargestWindow;
    wish.too_long = output > kLargestWindow;
    // A token is at least a byte; what may be too long for all goes to the largest window.
    wish.number =
        judge_.begin(std::min(bytes + output, kLargestWindow), wish.slow ? 30'000 : 1 + random_.below(300));
    Json body = {{"model", "m"},
                 {"messages", {{{"role", "user"}, {"content", std::string(bytes, 'a')}}}},
                 {"stream", wish.stream}};
    if (!silent) body["max_tokens"] = output;
    http::RequestHead head{.method = "POST",
                           .target = wish.anthropic ? "/v1/messages" : "/v1/chat/completions",
                           .headers = {{"x-call", std::to_string(wish.number)},
                                       {"x-truekeel-session", fmt::format("session {}", random_.below(6))}}};
    if (silent) head.headers.add("x-silent", "1");
    if (random_.below(10) == 0)
      head.headers.add("x-truekeel-timeout-ms", std::to_string(1 + random_.below(3000)));
    http::Call call(client_);
    http::Deadline impatience(net_.deadlines(), [&] { call.cancel(); });
    if (random_.below(6) == 0) impatience.set(net_.now() + std::chrono::milliseconds(random_.below(3000)));
    co_await exchange(call, gateway, head, body.dump(), wish);
    ++judge_.call(wish.number).ends;
  }

  http::Task<void> exchange(http::Call& call, const http::Endpoint& gateway, const http::RequestHead& head,
                            const std::string& body, const Wish& wish) {
    const http::CallOptions limits{.connect = std::chrono::seconds(2),
                                   .first_byte = std::chrono::seconds(120),
                                   .idle = std::chrono::seconds(60)};
    if (const auto sent = co_await call.send(gateway, head, body, limits); !sent) {
      co_return check_failure(sent.error());
    }
    const auto& answer = call.head();
    if (answer.status == 200) {
      if (const auto attempt = answer.headers.find("x-attempt")) {
        judge_.answered(wish.number, std::stoul(std::string(*attempt)));
      }
    }
    if (answer.status == 200 && wish.stream) co_return co_await read_stream(call, wish);
    const auto text = co_await call.read_all(SIZE_MAX);
    if (!text) co_return check_failure(text.error());
    EXPECT_TRUE(answer.headers.find("x-truekeel-request-id") || answer.status == 408);
    const auto parsed = Json::parse(*text, nullptr, false);
    if (answer.status != 200) {
      EXPECT_TRUE(parsed.is_object() && parsed.contains("error")) << *text;
      if (answer.status != 408) EXPECT_EQ(answer.status == 400, wish.too_long) << *text;
    } else {
      check_whole(parsed, wish);
    }
  }

  void check_failure(const http::CallError& error) const {
    using enum http::CallFailure;
    const bool hung = error.kind == first_byte_timeout || error.kind == idle_timeout;
    EXPECT_FALSE(hung && waits_for_nothing_) << error.message;
  }

  void check_whole(const Json& answer, const Wish& wish) {
    const auto text =
        wish.anthropic ? answer["content"][0]["text"] : answer["choices"][0]["message"]["content"];
    EXPECT_EQ(text, answer_text(wish.number, judge_.call(wish.number).words));
    judge_.whole_answer();
  }

  /// A stream ends with its end, with an error event, or broken; with its end only if it is whole.
  http::Task<void> read_stream(http::Call& call, const Wish& wish) {
    protocol::SseParser parser;
    std::string text;
    bool ended = false, failed = false;
    while (true) {
      if (wish.slow && random_.below(20) == 0) co_await pause(3000);
      const auto piece = co_await call.read();
      if (!piece) co_return check_failure(piece.error());
      if (piece->empty()) break;
      judge_.call(wish.number).received = text.size();
      parser.push(*piece);
      for (auto block = parser.next(); block && *block; block = parser.next()) {
        if (!(*block)->is_event) continue;
        EXPECT_FALSE(ended || failed) << "an event after the last";
        if (protocol::is_done((*block)->data)) {
          ended = true;
          continue;
        }
        const auto event = Json::parse((*block)->data);
        failed = failed || event.contains("error");
        if (wish.anthropic) {
          ended = event["type"] == "message_stop";
          if (event["type"] == "content_block_delta") text += event["delta"]["text"];
        } else if (!failed && !event["choices"].empty()) {
          text += event["choices"][0]["delta"].value("content", "");
        }
      }
    }
    EXPECT_NE(ended, failed) << "call " << wish.number << " has no end, or two";
    if (!ended) co_return;
    EXPECT_TRUE(text == answer_text(wish.number, judge_.call(wish.number).words)) << "call " << wish.number;
    judge_.whole_answer();
  }

  http::Net& net_;
  http::Client& client_;
  Judge& judge_;
  PhiloxStream random_;
  const bool waits_for_nothing_;
};

}  // namespace truekeel::gateway
