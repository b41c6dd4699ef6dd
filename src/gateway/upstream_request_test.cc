// SPDX-License-Identifier: Apache-2.0
#include "gateway/upstream_request.h"

#include <gtest/gtest.h>

namespace truekeel::gateway {
namespace {

class UpstreamRequest : public ::testing::Test {
 protected:
  Ask read(std::string body, std::string_view path = "/v1/chat/completions") {
    auto ask = read_ask(find_route("POST", path, false), parser_, std::move(body));
    EXPECT_TRUE(ask) << ask.error().message;
    return std::move(*ask);
  }

  static fleet::EndpointConfig endpoint() {
    fleet::EndpointConfig config;
    config.name = "e";
    config.url = {"10.0.0.1", 80, "/base"};
    config.engine = EngineKind::truekeel;
    return config;
  }

  protocol::JsonParser parser_;
  fleet::EndpointConfig config_ = endpoint();
};

constexpr const char* kChat = R"({"model":"m","messages":[{"role":"user","content":"x"}], "seed": 1.0})";

TEST_F(UpstreamRequest, TheLimitIsAddedOnceAndTheRestIsLeftAlone) {
  Upstream upstream(config_, "");
  const auto ask = read(kChat);
  const auto body = edited_body(ask, {.tokens = 512, .added = true}, upstream).value();
  EXPECT_NE(body.find(R"("seed": 1.0)"), std::string::npos);
  EXPECT_NE(body.find("512"), std::string::npos);
  EXPECT_EQ(edited_body(ask, {.tokens = 512, .added = false}, upstream), std::nullopt);
}

TEST_F(UpstreamRequest, TwoLimitsBecomeTheOneThatWasCountedWith) {
  const Upstream upstream(config_, "");
  const auto ask = read(
      R"({"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":5,"max_completion_tokens":9})");
  const auto again = read(edited_body(ask, {.tokens = 9, .added = false}, upstream).value());
  EXPECT_EQ(again.request.max_output(), 9u);
  EXPECT_NE(again.request.max_tokens.has_value(), again.request.max_completion_tokens.has_value());
}

TEST_F(UpstreamRequest, TheEndpointsNameForTheModelIsUsed) {
  config_.upstream_model = "other \"name\"";
  const Upstream upstream(config_, "");
  EXPECT_EQ(read(edited_body(read(kChat), {}, upstream).value()).request.model, config_.upstream_model);
}

TEST_F(UpstreamRequest, TopKOfAnthropicsApiGoesOnlyToEnginesThatKnowIt) {
  const auto ask = read(
      R"({"model":"m","max_tokens":5,"top_k":7,"messages":[{"role":"user","content":"x"}]})", "/v1/messages");
  const auto top_k_at = [&](EngineKind engine) {
    config_.engine = engine;
    return read(edited_body(ask, {}, Upstream(config_, "")).value_or(ask.body)).request.sampling.top_k;
  };
  EXPECT_EQ(top_k_at(EngineKind::vllm), 7);
  EXPECT_EQ(top_k_at(EngineKind::openai), std::nullopt);
}

TEST_F(UpstreamRequest, CredentialsAndHopsStayOnTheirHop) {
  const auto ask = read(kChat);
  const http::Headers client = {{"Host", "a"},
                                {"Authorization", "Bearer client"},
                                {"Connection", "x-hop"},
                                {"X-Hop", "1"},
                                {"x-truekeel-session", "s"},
                                {"Accept-Encoding", "gzip"},
                                {"x-stainless-os", "l"},
                                {"x-api-key", "k"}};
  const auto with_key = upstream_head(ask, client, Upstream(config_, "server-key"),
                                      ClientCredentials::pass_on, "req_1", std::nullopt);
  EXPECT_EQ(with_key.headers.find("authorization"), "Bearer server-key");
  EXPECT_EQ(with_key.headers.find("host"), "10.0.0.1");
  EXPECT_EQ(with_key.headers.find("x-request-id"), "req_1");
  EXPECT_EQ(with_key.target, "/base/v1/chat/completions");
  for (const char* gone : {"x-hop", "x-truekeel-session", "accept-encoding", "x-api-key", "connection"}) {
    EXPECT_FALSE(with_key.headers.find(gone)) << gone;
  }
  EXPECT_TRUE(with_key.headers.find("x-stainless-os"));
  const auto open = upstream_head(ask, client, Upstream(config_, ""), ClientCredentials::pass_on, "req_1",
                                  std::chrono::milliseconds(1500));
  EXPECT_EQ(open.headers.find("authorization"), "Bearer client");
  EXPECT_EQ(open.headers.find("x-truekeel-timeout-ms"), "1500");
  const auto kept =
      upstream_head(ask, client, Upstream(config_, ""), ClientCredentials::keep, "req_1", std::nullopt);
  EXPECT_FALSE(kept.headers.find("authorization"));
  EXPECT_FALSE(kept.headers.find("x-api-key"));
}

}  // namespace
}  // namespace truekeel::gateway
