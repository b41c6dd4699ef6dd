// SPDX-License-Identifier: Apache-2.0
// The traffic is mixed as it claims, and what is lost is counted; over real sockets.
#include "drill/clients.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "http/server.h"
#include "http/tcp_net.h"

namespace truekeel::drill {
namespace {

TEST(Ask, MixesSamplingsStreamsAndPrompts) {
  PhiloxStream random(1);
  std::map<double, int> temperatures;
  std::set<std::string> prompts;
  int streams = 0;
  for (int i = 0; i < 600; ++i) {
    const auto ask = make_ask(random);
    const auto json = nlohmann::json::parse(ask.body);
    const double temperature = json.at("temperature");
    ++temperatures[temperature];
    EXPECT_EQ(json.contains("top_k"), temperature == 0.7);
    EXPECT_EQ(json.value("stream", false), ask.stream);
    EXPECT_FALSE(json.contains("seed")) << "a stated seed would repeat draws, and is not audited";
    streams += ask.stream;
    prompts.insert(json["messages"][0]["content"].get<std::string>());
  }
  for (const double temperature : {0.0, 0.7, 1.0}) EXPECT_GT(temperatures[temperature], 150) << temperature;
  EXPECT_GT(streams, 200);
  EXPECT_LT(streams, 400);
  EXPECT_GT(prompts.size(), 150u);
}

TEST(Explain, NamesTheServer) {
  EXPECT_EQ(server_named(R"({"pool":"main","endpoint":"s3"})"), "s3");
  EXPECT_EQ(server_named(""), "");
  EXPECT_EQ(server_named("[1]"), "");
}

/// Answers as a gateway would; every fourth answer fails in one of two ways.
class ChatServer {
 public:
  explicit ChatServer(http::Net& net)
      : server_(net, {}, [this](http::Exchange& exchange) { return answer(exchange); }) {}
  http::Endpoint listen() { return {"127.0.0.1", server_.listen({"127.0.0.1", 0}).value()}; }
  void stop() { server_.stop_accepting(); }
  http::Task<void> drain(Instant deadline) { return server_.drain(deadline); }

  int asked = 0, spoilt = 0;
  std::map<std::string, int> sessions;

 private:
  http::Task<void> answer(http::Exchange& exchange) {
    const bool stream = nlohmann::json::parse(exchange.body()).value("stream", false);
    ++sessions[std::string(exchange.request().headers.find("x-truekeel-session").value_or(""))];
    const bool spoil = ++asked % 4 == 0;
    spoilt += spoil;
    const http::Headers headers = {{"x-truekeel-explain", R"({"endpoint":"s2"})"}};
    if (spoil && !stream) {
      (void)co_await exchange.respond(503, headers, "no");
    } else {
      (void)co_await exchange.respond(200, headers, stream && !spoil ? "data: [DONE]\n\n" : "data: {}\n\n");
    }
  }

  http::Server server_;
};

http::Task<void> run_clients(http::Net& net, ChatServer& server, Clients& clients) {
  clients.begin();
  while (clients.answers().size() < 50) co_await net.sleep_until(net.now() + std::chrono::milliseconds(1));
  co_await clients.end();
  server.stop();
  co_await server.drain(net.now() + std::chrono::seconds(1));
  net.context().stop();
}

TEST(Clients, CountWhatCameAndWhatWasLost) {
  boost::asio::io_context context(1);
  const auto net = http::make_tcp_net(context);
  ChatServer server(*net);
  Clients clients(*net, server.listen(), 5, 3);
  http::spawn(*net, run_clients(*net, server, clients));
  context.run();
  // At most one answer of each client was cut by the end.
  EXPECT_LE(clients.lost(), static_cast<std::uint64_t>(server.spoilt));
  EXPECT_GE(clients.lost() + 3, static_cast<std::uint64_t>(server.spoilt));
  EXPECT_FALSE(clients.first_loss().empty());
  for (const auto& each : clients.last()) EXPECT_EQ(each.server, "s2");
  int longest = 0;
  for (const auto& [session, requests] : server.sessions) longest = std::max(longest, requests);
  EXPECT_GE(longest, 2);
  EXPECT_LE(longest, 5);
  EXPECT_GE(server.sessions.size(), 10u);
}

}  // namespace
}  // namespace truekeel::drill
