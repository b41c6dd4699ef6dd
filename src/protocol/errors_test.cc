// SPDX-License-Identifier: Apache-2.0
#include "protocol/errors.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace truekeel::protocol {
namespace {

using Json = nlohmann::json;

TEST(ErrorBody, HasTheProvidersShape) {
  const ApiError error{404, "The model \"x\" does not exist.", "model", "model_not_found"};
  EXPECT_EQ(
      Json::parse(error_body(Provider::openai, error)),
      Json::parse(R"({"error":{"message":"The model \"x\" does not exist.","type":"invalid_request_error",
                            "param":"model","code":"model_not_found"}})"));
  EXPECT_EQ(Json::parse(error_body(Provider::anthropic, error, "req_1")),
            Json::parse(R"({"type":"error","error":{"type":"not_found_error",
                            "message":"The model \"x\" does not exist."},"request_id":"req_1"})"));
  EXPECT_EQ(Json::parse(error_body(Provider::openai, {500, "x", {}, {}})),
            Json::parse(R"({"error":{"message":"x","type":"server_error","param":null,"code":null}})"));
  EXPECT_FALSE(Json::parse(error_body(Provider::anthropic, error)).contains("request_id"));
}

TEST(ErrorBody, SurvivesAnyMessage) {
  const ApiError error{500, "line\nbreak \"quote\" \xFF", {}, {}};
  for (const auto provider : {Provider::openai, Provider::anthropic}) {
    EXPECT_TRUE(Json::accept(error_body(provider, error)));
  }
}

TEST(ErrorEvent, IsAnEventOfTheProvider) {
  const ApiError error{503, "full", {}, {}};
  EXPECT_TRUE(error_event(Provider::openai, error).starts_with(R"(data: {"error":{)"));
  EXPECT_EQ(error_event(Provider::anthropic, error),
            "event: error\ndata: "
            "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"full\"}}\n\n");
}

struct Type {
  int status;
  const char *openai, *anthropic;
};

TEST(ErrorType, ByStatus) {
  for (const auto& [status, openai, anthropic] : std::vector<Type>{
           {400, "invalid_request_error", "invalid_request_error"},
           {401, "authentication_error", "authentication_error"},
           {403, "permission_error", "permission_error"},
           {404, "invalid_request_error", "not_found_error"},
           {413, "invalid_request_error", "request_too_large"},
           {422, "invalid_request_error", "invalid_request_error"},
           {429, "rate_limit_error", "rate_limit_error"},
           {500, "server_error", "api_error"},
           {502, "server_error", "api_error"},
           {503, "service_unavailable_error", "overloaded_error"},
           {504, "timeout_error", "timeout_error"},
           {529, "service_unavailable_error", "overloaded_error"},
       }) {
    EXPECT_EQ(error_type(Provider::openai, status), openai) << status;
    EXPECT_EQ(error_type(Provider::anthropic, status), anthropic) << status;
  }
}

TEST(ReadError, KeepsTheMessageOfEveryKnownShape) {
  struct Case {
    const char *body, *message, *param, *code;
  };
  for (
      const auto& c : std::vector<Case>{
          {R"({"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}})",
           "too long", "messages", "context_length_exceeded"},
          {R"({"error":{"code":400,"message":"the request exceeds the context","type":"exceed_context_size_error"}})",
           "the request exceeds the context", "", "400"},
          {R"({"object":"error","message":"flat","type":"BadRequestError","param":null,"code":400})", "flat",
           "", "400"},
          {R"({"detail":"Not Found"})", "Not Found", "", ""},
          {R"({"error":"model not found"})", "model not found", "", ""},
          {R"({"type":"error","error":{"type":"x","message":"anthropic"}})", "anthropic", "", ""},
      }) {
    EXPECT_EQ(read_error(400, c.body), (ApiError{400, c.message, c.param, c.code})) << c.body;
  }
}

TEST(ReadError, SaysTheStatusOfAnythingElse) {
  for (const char* body : {"", "<html>502 Bad Gateway</html>", "{}", "[]", R"({"detail":[{"msg":"x"}]})",
                           "{\"error\":", "\xFF"}) {
    const auto error = read_error(502, body);
    EXPECT_EQ(error.status, 502);
    EXPECT_NE(error.message.find("502"), std::string::npos) << body;
    EXPECT_EQ(error.message.find("html"), std::string::npos) << body;
  }
}

TEST(ReadError, AnUpstreamsErrorTakesTheOtherShape) {
  const auto error =
      read_error(400, R"({"error":{"message":"max_tokens is too large","param":"max_tokens"}})");
  EXPECT_EQ(
      Json::parse(error_body(Provider::anthropic, error, "req_9")),
      Json::parse(
          R"({"type":"error","error":{"type":"invalid_request_error","message":"max_tokens is too large"},
                            "request_id":"req_9"})"));
}

TEST(ProblemBody, FollowsRfc9457) {
  EXPECT_EQ(Json::parse(problem_body({409, "Would empty the pool", "\"short\" has one server left."})),
            Json::parse(R"({"type":"about:blank","title":"Would empty the pool","status":409,
                            "detail":"\"short\" has one server left."})"));
}

}  // namespace
}  // namespace truekeel::protocol
