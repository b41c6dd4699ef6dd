// SPDX-License-Identifier: Apache-2.0
// A gateway that has nothing left to connect with: its own trouble, and no server's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "fleet/test_config.h"
#include "gateway/prober.h"
#include "gateway/proxy.h"
#include "http/client.h"
#include "http/sim_net.h"

namespace truekeel::gateway {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kAnswer =
    R"({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":)"
    R"({"role":"assistant","content":"hello"},"finish_reason":"stop"}]})";
constexpr const char* kAsk = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";

class ExhaustedTest : public testing::Test {
 protected:
  ExhaustedTest() {
    EXPECT_TRUE(upstream_.listen({"", 80}) && server_.listen({"", 80}));
    http::spawn(net_, prober_.run());
    pass(seconds(1));
    EXPECT_EQ(ask(), 200);
    pass(seconds(30));  // so that no connection to a server is kept; the client's own is
  }
  ~ExhaustedTest() override {
    prober_.stop();
    pass(seconds(60));
  }

  static std::shared_ptr<const fleet::Config> config() {
    auto config = fleet::test_config({"s1", "s2"}, {"l1"});
    for (auto& pool : config.pools) {
      for (auto& endpoint : pool.endpoints) endpoint.url = {"upstream", 80, ""};
    }
    return std::make_shared<const fleet::Config>(std::move(config));
  }

  void pass(Duration duration) { world_.run(world_.now() + duration); }

  /// The status; the answer is in headers_ and body_.
  int ask() {
    int status = 0;
    http::spawn(world_.host("client"), call(status));
    pass(seconds(1));
    return status;
  }
  http::Task<void> call(int& status) {
    http::Call call(client_);
    const http::RequestHead head{.method = "POST", .target = "/v1/chat/completions", .headers = {}};
    const auto sent = co_await call.send({"gateway", 80}, head, kAsk, {});
    EXPECT_TRUE(sent);
    if (!sent) co_return;
    status = call.head().status;
    retry_after_ = call.head().headers.find("retry-after").value_or("");
    body_ = (co_await call.read_all(SIZE_MAX)).value_or("");
  }

  std::string metrics() {
    return shared_->fleet(
        [&](const fleet::Fleet& fleet) { return shared_->metrics().text(fleet, net_.now()); });
  }
  void expect_all_ready() {
    shared_->fleet([&](const fleet::Fleet& fleet) {
      for (const auto id : fleet.endpoints()) {
        const auto view = fleet.view(id, net_.now());
        EXPECT_EQ(view.state, fleet::HealthState::ready) << view.config->name;
        EXPECT_EQ(view.failures, 0u);
        EXPECT_EQ(view.in_flight, 0u);
      }
    });
  }

  http::SimWorld world_{1};
  http::Net& net_ = world_.host("gateway");
  const std::unique_ptr<Shared> shared_ = Shared::make(config(), "secret", net_.now()).value();
  Proxy proxy_{net_, *shared_, 1};
  http::Server server_{net_, client_port_options(shared_->settings().limits, 1),
                       [this](http::Exchange& exchange) { return proxy_.handle(exchange); }};
  Prober prober_{net_, *shared_};
  http::Server upstream_{world_.host("upstream"), {}, [](http::Exchange& exchange) -> http::Task<void> {
                           co_await exchange.respond(200, {{"content-type", "application/json"}}, kAnswer);
                         }};
  http::Client client_{world_.host("client"), {.kept = seconds(200)}};
  std::string retry_after_, body_;
};

TEST_F(ExhaustedTest, ClientsAreToldToComeAgainAndNoServerIsBlamed) {
  world_.set_faults({.exhausted = 1});
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(ask(), 503);
    EXPECT_EQ(retry_after_, "1");
    EXPECT_THAT(body_, HasSubstr("the gateway can open no further connection"));
  }
  expect_all_ready();
  EXPECT_THAT(metrics(), HasSubstr("truekeel_shed_total{pool=\"short\",reason=\"exhausted\"} 20"));
  EXPECT_THAT(metrics(), Not(HasSubstr("truekeel_retries_total{")));
  EXPECT_THAT(metrics(), HasSubstr("end=\"refused\",endpoint=\"s"));
  world_.set_faults({});
  EXPECT_EQ(ask(), 200) << "at once";
}

TEST_F(ExhaustedTest, ProbesThatCannotBeMadeProveNothing) {
  world_.set_faults({.exhausted = 1});
  pass(seconds(60));
  expect_all_ready();
  EXPECT_THAT(metrics(), HasSubstr("truekeel_probes_total{endpoint=\"s1\",result=\"untried\"}"));
  EXPECT_THAT(metrics(), Not(HasSubstr("result=\"refused\"")));
}

TEST_F(ExhaustedTest, AServerThatRefusesIsStillBlamed) {
  world_.kill("upstream");
  EXPECT_EQ(ask(), 502);
  shared_->fleet([&](const fleet::Fleet& fleet) {
    std::uint64_t failures = 0;
    for (const auto id : fleet.endpoints()) failures += fleet.view(id, net_.now()).failures;
    EXPECT_GT(failures, 0u);
  });
}

}  // namespace
}  // namespace truekeel::gateway
