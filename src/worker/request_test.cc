// SPDX-License-Identifier: Apache-2.0
#include "worker/request.h"

#include <gtest/gtest.h>

namespace truekeel::worker {
namespace {

const RequestLimits kLimits = {.model = "m", .vocabulary = 300, .choices_max = 4};

constexpr std::string_view kUser = R"("messages":[{"role":"user","content":"hi"}])";

std::string chat_body(std::string_view more) {
  return "{" + std::string(kUser) + (more.empty() ? "" : ",") + std::string(more) + "}";
}

GenerateRequest chat(std::string_view more) {
  auto request = parse_chat(chat_body(more), kLimits);
  EXPECT_TRUE(request) << more << ": " << request.error().message;
  return request.value_or(GenerateRequest{});
}

protocol::ApiError refused(const std::string& body) {
  const auto request = parse_chat(body, kLimits);
  EXPECT_FALSE(request) << body;
  return request ? protocol::ApiError{} : request.error();
}

TEST(Request, SilenceMeansTheDefaults) {
  const auto request = chat("");
  EXPECT_EQ(std::get<std::vector<engine::Message>>(request.prompt),
            (std::vector<engine::Message>{{"user", "hi"}}));
  EXPECT_EQ(request.sampling, Sampling());
  EXPECT_EQ(request.choices, 1u);
  EXPECT_FALSE(request.max_tokens || request.has_seed || request.stream || request.logprobs);
}

TEST(Request, EveryFieldIsRead) {
  const auto request = chat(
      R"("model":"m","temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"seed":-1,"stop":["a","b"],"n":3,
         "max_completion_tokens":7,"max_tokens":9,"presence_penalty":1,"frequency_penalty":-2,
         "logit_bias":{"20":-100,"3":1.5},"logprobs":true,"top_logprobs":20,"stream":true,
         "stream_options":{"include_usage":true},"ignore_eos":true,"return_token_ids":true)");
  EXPECT_EQ(request.sampling, (Sampling{.temperature = 0.5f,
                                        .top_k = 40,
                                        .top_p = 0.9,
                                        .min_p = 0.1,
                                        .presence = 1,
                                        .frequency = -2,
                                        .bias = {{3, 1.5f}, {20, -100}},
                                        .seed = ~0ull}));
  EXPECT_EQ(request.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.max_tokens, 7u);
  EXPECT_EQ(request.choices, 3u);
  EXPECT_EQ(request.top, 20u);
  EXPECT_TRUE(request.has_seed && request.logprobs && request.stream && request.include_usage &&
              request.ignore_end && request.token_ids);
}

TEST(Request, AuditRecordsAreNoneBasicOrFull) {
  EXPECT_EQ(chat("").audit, Audit::none);
  EXPECT_EQ(chat(R"("audit":"basic")").audit, Audit::basic);
  EXPECT_EQ(chat(R"("audit":"full")").audit, Audit::full);
  for (const auto* wrong : {"true", R"("all")", "[]", "1"}) {
    EXPECT_EQ(refused(chat_body(R"("audit":)" + std::string(wrong))).param, "audit");
  }
}

ReplayRequest replay(std::string_view more) {
  auto request = parse_replay(chat_body(more), kLimits);
  EXPECT_TRUE(request) << more << ": " << request.error().message;
  return request.value_or(ReplayRequest{});
}

TEST(Request, AReplayIsTheRequestWithItsAnswer) {
  const auto request = replay(
      R"("tokens":[1,299],"seed":7,"choice":2,"top_k":40,"max_tokens":9,"stream":true,"n":3,"logprobs":true,
         "system_fingerprint":"tk-0123456789abcdef")");
  EXPECT_EQ(request.tokens, (std::vector<Token>{1, 299}));
  EXPECT_EQ(request.sampling, (Sampling{.top_k = 40, .bias = {}, .seed = 7, .stream = 2}));
  EXPECT_EQ(request.mode, Mode::replay_exact);
  EXPECT_EQ(request.numerics, "01234567");
  const auto fast =
      replay(R"("tokens":[1],"temperature":0,"mode":"fast","tolerance":0.25,"numerics":"00112233aabbccdd")");
  EXPECT_EQ(fast.mode, Mode::replay_fast);
  EXPECT_EQ(fast.tolerance, 0.25);
  EXPECT_EQ(fast.numerics, "00112233aabbccdd");
}

TEST(Request, AReplayNeedsTokensAndTheSeedOfADraw) {
  const auto param = [](std::string_view more) {
    const auto request = parse_replay(chat_body(more), kLimits);
    return request ? "" : request.error().param;
  };
  EXPECT_EQ(param(R"("seed":1)"), "tokens");
  EXPECT_EQ(param(R"("tokens":[],"seed":1)"), "tokens");
  EXPECT_EQ(param(R"("tokens":[300],"seed":1)"), "tokens");
  EXPECT_EQ(param(R"("tokens":[1])"), "seed");
  EXPECT_EQ(param(R"("tokens":[1],"temperature":0)"), "");
  EXPECT_EQ(param(R"("tokens":[1],"seed":1,"system_fingerprint":"b42"})"), "") << "no JSON";
  EXPECT_EQ(param(R"("tokens":[1],"seed":1,"system_fingerprint":"b42")"), "system_fingerprint");
  EXPECT_EQ(param(R"("tokens":[1],"seed":1,"tools":[1])"), "tools");
}

TEST(Request, NullAndUnknownFieldsChangeNothing) {
  EXPECT_EQ(chat(R"("seed":null,"stop":null,"tools":null,"foo":{"a":1},"user":"u","store":false)").sampling,
            Sampling());
  EXPECT_EQ(chat(R"("tools":[],"tool_choice":"none","response_format":{"type":"text"})").sampling,
            Sampling());
}

TEST(Request, TextPartsAreJoinedAsTemplatesDo) {
  const auto request = parse_chat(
      R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})",
      kLimits);
  ASSERT_TRUE(request);
  EXPECT_EQ(std::get<0>(request->prompt).front().content, "a\nb");
}

TEST(Request, WhatIsWrongIsNamed) {
  struct Case {
    std::string_view field;
    std::string_view param;
  };
  for (const auto& [field, param] : {Case{R"("temperature":-1)", "temperature"},
                                     {R"("temperature":"1")", "temperature"},
                                     {R"("temperature":1e-30)", "temperature"},
                                     {R"("top_p":1.5)", "top_p"},
                                     {R"("top_k":1.5)", "top_k"},
                                     {R"("min_p":-0.1)", "min_p"},
                                     {R"("seed":1.5)", "seed"},
                                     {R"("n":5)", "n"},
                                     {R"("n":0)", "n"},
                                     {R"("max_tokens":0)", "max_tokens"},
                                     {R"("stop":[""])", "stop"},
                                     {R"("stop":5)", "stop"},
                                     {R"("presence_penalty":2.1)", "presence_penalty"},
                                     {R"("logit_bias":{"300":1})", "logit_bias"},
                                     {R"("logit_bias":{"1x":1})", "logit_bias"},
                                     {R"("logit_bias":{"1":101})", "logit_bias"},
                                     {R"("logit_bias":{"5":1,"05":2})", "logit_bias"},
                                     {R"("top_logprobs":3)", "top_logprobs"},
                                     {R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
                                     {R"("logprobs":3)", "logprobs"},
                                     {R"("stream":1)", "stream"},
                                     {R"("tools":[{"type":"function"}])", "tools"},
                                     {R"("response_format":{"type":"json_schema"})", "response_format"},
                                     {R"("repetition_penalty":1.1)", "repetition_penalty"},
                                     {R"("model":7)", "model"}}) {
    const auto error = refused(chat_body(field));
    EXPECT_EQ(error.status, 400) << field;
    EXPECT_EQ(error.param, param) << error.message;
    EXPECT_NE(error.message.find(param), std::string::npos) << error.message;
  }
}

TEST(Request, AMessageThatCannotBeReadIsNamed) {
  EXPECT_EQ(refused(R"({})").param, "messages");
  EXPECT_EQ(refused(R"({"messages":[]})").param, "messages");
  EXPECT_EQ(refused(R"({"messages":[{"role":"user","content":"a"},{"content":"b"}]})").param,
            "messages[1].role");
  EXPECT_EQ(refused(R"({"messages":[{"role":"user"}]})").param, "messages[0].content");
  EXPECT_EQ(refused(R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})").param,
            "messages[0].content[0].type");
  EXPECT_EQ(refused(R"({"messages":[{"role":"assistant","content":null,"tool_calls":[{}]}]})").param,
            "messages[0].tool_calls");
}

TEST(Request, ABodyThatIsNoObjectIsRefused) {
  for (const std::string body : {"", "[]", "nonsense", "{\"messages\":", "{\"a\":\"\xff\"}"}) {
    EXPECT_EQ(refused(body).status, 400) << body;
  }
  EXPECT_EQ(refused(std::string(100000, '[')).status, 400);
}

TEST(Request, AnotherModelIsNotFound) {
  const auto error = refused(chat_body(R"("model":"gpt-4")"));
  EXPECT_EQ(error.status, 404);
  EXPECT_EQ(error.code, "model_not_found");
  EXPECT_NE(error.message.find("'m'"), std::string::npos);
}

TEST(Request, ACompletionTakesTextOrTokens) {
  const auto parse = [](std::string_view prompt) {
    return parse_completion("{\"prompt\":" + std::string(prompt) + "}", kLimits);
  };
  EXPECT_EQ(parse(R"("a")")->prompt, Prompt("a"));
  EXPECT_EQ(parse(R"(["a"])")->prompt, Prompt("a"));
  EXPECT_EQ(parse("[1,2,299]")->prompt, Prompt(std::vector<Token>{1, 2, 299}));
  EXPECT_EQ(parse("[[1,2]]")->prompt, Prompt(std::vector<Token>{1, 2}));
  for (const auto* prompt : {"[1,300]", "[1,-1]", "[1,\"a\"]", "[\"a\",\"b\"]", "[[1],[2]]", "7", "null"}) {
    EXPECT_EQ(parse(prompt).error().param, "prompt") << prompt;
  }
  const auto logprobs = parse_completion(R"({"prompt":"a","logprobs":0})", kLimits);
  EXPECT_TRUE(logprobs->logprobs);
  EXPECT_EQ(logprobs->top, 0u);
}

TEST(Request, AScoreNeedsPromptAndContinuation) {
  const auto score =
      parse_score("{" + std::string(kUser) + R"(,"continuation":[5,6],"top_logprobs":2})", kLimits);
  ASSERT_TRUE(score) << score.error().message;
  EXPECT_EQ(std::get<1>(score->continuation), (std::vector<Token>{5, 6}));
  EXPECT_EQ(score->top, 2u);
  EXPECT_EQ(parse_score(R"({"prompt":"a"})", kLimits).error().param, "continuation");
  EXPECT_EQ(parse_score(R"({"continuation":"a"})", kLimits).error().param, "prompt");
}

TEST(Request, TokenizeTakesContentPromptOrMessages) {
  EXPECT_EQ(parse_tokenize(R"({"content":"a"})", kLimits)->prompt, Prompt("a"));
  const auto request = parse_tokenize(R"({"prompt":"a","stop_above":9,"count_only":true})", kLimits);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->stop_above, 9u);
  EXPECT_FALSE(request->with_tokens);
  EXPECT_EQ(parse_tokenize(R"({})", kLimits).error().param, "content");
}

}  // namespace
}  // namespace truekeel::worker
