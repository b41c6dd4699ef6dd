// SPDX-License-Identifier: Apache-2.0
#include "drill/clients.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "drill/small_fleet.h"

namespace truekeel::drill {
namespace {

using Json = nlohmann::json;

constexpr Duration kPatience = std::chrono::seconds(120);
constexpr Duration kPauseAfterLoss = std::chrono::milliseconds(300);
constexpr std::size_t kAnswerBytesMax = 8u << 20;
constexpr std::uint64_t kTurnsLeast = 2, kTurnsMore = 4, kTokensLeast = 32, kTokensMore = 64;

constexpr std::array<std::string_view, 14> kTasks = {"Explain {} to a child.",
                                                     "Write three facts about {}.",
                                                     "Tell a short story about {}.",
                                                     "What should a beginner know about {}?",
                                                     "Write a poem of four lines about {}.",
                                                     "List five words that come to mind with {}.",
                                                     "Give an opinion on {} with two reasons.",
                                                     "Describe a day that has to do with {}.",
                                                     "Write a Python function that has to do with {}.",
                                                     "Ask me three questions about {}.",
                                                     "Summarise the history of {}.",
                                                     "Write a friendly e-mail about {}.",
                                                     "Describe {} with many emoji.",
                                                     "Translate a sentence about {} into Chinese and Thai."};
constexpr std::array<std::string_view, 16> kTopics = {
    "ships",  "the moon", "bread",   "chess",  "rivers",  "bees",     "trains",  "music",
    "winter", "maps",     "numbers", "clocks", "gardens", "volcanos", "letters", "the sea"};

}  // namespace

Ask make_ask(PhiloxStream& random) {
  const auto task = kTasks[random.below(kTasks.size())];
  const auto topic = kTopics[random.below(kTopics.size())];
  Json json = {{"model", kModelName},
               {"max_tokens", kTokensLeast + random.below(kTokensMore)},
               {"messages", {{{"role", "user"}, {"content", fmt::format(fmt::runtime(task), topic)}}}}};
  switch (random.below(3)) {
    case 0:
      json["temperature"] = 0;
      break;
    case 1:
      json["temperature"] = 0.7;
      json["top_k"] = 40;
      json["top_p"] = 0.9;
      break;
    default:
      json["temperature"] = 1;
  }
  Ask ask;
  ask.stream = random.below(2) == 0;
  if (ask.stream) json["stream"] = true;
  ask.body = json.dump();
  return ask;
}

std::string server_named(std::string_view explain) {
  const auto json = Json::parse(explain, nullptr, false);
  return json.is_object() ? json.value("endpoint", std::string()) : std::string();
}

Clients::Clients(http::Net& net, http::Endpoint gateway, std::uint64_t seed, unsigned count)
    : net_(net), gateway_(std::move(gateway)), seed_(seed), client_(net, {}), last_(count) {}

void Clients::begin() {
  living_ = last_.size();
  for (std::size_t client = 0; client < last_.size(); ++client) http::spawn(net_, live(client));
}

http::Task<void> Clients::end() {
  ending_ = true;
  for (auto* call : under_way_) call->cancel();
  while (living_ > 0) co_await net_.sleep_until(net_.now() + std::chrono::milliseconds(10));
}

http::Task<void> Clients::live(std::size_t client) {
  PhiloxStream random(seed_, static_cast<std::uint32_t>(client));
  for (std::uint64_t session = 0; !ending_; ++session) {
    const auto turns = kTurnsLeast + random.below(kTurnsMore);
    for (std::uint64_t turn = 0; turn < turns && !ending_; ++turn)
      co_await chat(client, make_ask(random), fmt::format("drill-{}-{}-{}", seed_, client, session));
  }
  --living_;
}

void Clients::lose(std::string why) {
  if (ending_) return;
  if (lost_++ == 0) first_loss_ = std::move(why);
}

http::Task<void> Clients::chat(std::size_t client, const Ask& ask, std::string session) {
  http::Call call(client_);
  under_way_.insert(&call);
  const http::RequestHead head{.method = "POST",
                               .target = "/v1/chat/completions",
                               .minor_version = 1,
                               .headers = {{"content-type", "application/json"},
                                           {"user-agent", "truekeel-drill/1"},
                                           {"x-truekeel-explain", "1"},
                                           {"x-truekeel-session", session}}};
  const auto began = net_.wall_now();
  const auto before = lost_;
  const auto sent = co_await call.send(gateway_, head, ask.body, {.deadline = net_.now() + kPatience});
  if (!sent) {
    lose(sent.error().message);
  } else {
    const auto server = server_named(call.head().headers.find("x-truekeel-explain").value_or(""));
    const auto text = co_await call.read_all(kAnswerBytesMax);
    if (!text) {
      lose(text.error().message);
    } else if (call.head().status != 200) {
      lose(fmt::format("status {}", call.head().status));
    } else if (ask.stream && !text->ends_with("data: [DONE]\n\n")) {
      lose("a stream without its end");
    } else {
      last_[client] = {server, began, net_.wall_now()};
      answers_.push_back(last_[client]);
    }
  }
  under_way_.erase(&call);
  if (lost_ > before) co_await net_.sleep_until(net_.now() + kPauseAfterLoss);
}

}  // namespace truekeel::drill
