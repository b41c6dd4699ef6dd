// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "protocol/anthropic.h"
#include "protocol/openai_request.h"

namespace truekeel::protocol {
namespace {

using Json = nlohmann::ordered_json;

std::string translate(const std::string& body) {
  JsonParser parser;
  const auto request = read_anthropic_request(parser, body);
  return request ? request->openai_body : "400 " + request.error().param + ": " + request.error().message;
}

std::string with(const std::string& members) {
  return R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}])" +
         (members.empty() ? "" : "," + members) + "}";
}

TEST(AnthropicRequest, Translates) {
  EXPECT_EQ(translate(with("")),
            R"({"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5})");
  EXPECT_EQ(
      translate(R"({
      "max_tokens": 1024, "stop_sequences": ["\n\nHuman:", "é"], "temperature": 1.0, "top_p": 0.9, "top_k": 40,
      "metadata": {"user_id": "u1", "other": [1]}, "stream": true, "service_tier": "auto", "thinking": {"type": "disabled"},
      "tools": [], "tool_choice": {"type": "auto"},
      "system": [{"type": "text", "text": "a\n", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "\u00e9"}],
      "messages": [{"content": "x \ud83d\ude00", "role": "user"}, {"role": "assistant", "content": [{"text": "y", "type": "text"}]},
                   {"role": "user", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]}],
      "model": "claude-x"})"),
      R"({"model":"claude-x","messages":[{"role":"system","content":"a\n\u00e9"},)"
      R"({"role":"user","content":"x \ud83d\ude00"},{"role":"assistant","content":"y"},)"
      R"({"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]}],)"
      R"("max_tokens":1024,"stop":["\n\nHuman:","é"],"temperature":1.0,"top_p":0.9,"top_k":40,"user":"u1",)"
      R"("stream":true,"stream_options":{"include_usage":true}})");
}

TEST(AnthropicRequest, TheTranslationIsAReadableChat) {
  JsonParser parser;
  const auto request = read_anthropic_request(
      parser, with(R"("system":"s","metadata":{"user_id":"u"},"stream":true,"stop_sequences":["a\"b"])"));
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->stream);
  EXPECT_EQ(request->model, "m");
  const auto chat = read_openai_request(OpenAiCall::chat, parser, request->openai_body);
  ASSERT_TRUE(chat) << chat.error().message;
  EXPECT_TRUE(chat->stream && chat->include_usage);
  EXPECT_EQ(chat->user, "u");
  EXPECT_EQ(chat->max_output(), 5);
  EXPECT_EQ(chat->prompt.text_bytes, 6 + 1 + 4 + 2);
  EXPECT_EQ(Json::parse(request->openai_body)["stop"][0], "a\"b");
}

TEST(AnthropicRequest, EarlierThinkingIsLeftOut) {
  EXPECT_EQ(
      translate(R"({"model":"m","max_tokens":5,"messages":[{"role":"assistant","content":[
                {"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"d"},
                {"type":"text","text":"yes"}]},{"role":"user","content":[]}]})"),
      R"({"model":"m","messages":[{"role":"assistant","content":"yes"},{"role":"user","content":""}],"max_tokens":5})");
}

TEST(AnthropicRequest, FaultsNameTheField) {
  struct Fault {
    std::string body, param;
  };
  const auto message = [](const std::string& m) {
    return R"({"model":"m","max_tokens":5,"messages":[)" + m + "]}";
  };
  const auto block = [&](const std::string& b) {
    return message(R"({"role":"user","content":[)" + b + "]}");
  };
  for (const auto& [body, param] : std::vector<Fault>{
           {"", ""},
           {"[1]", ""},
           {with("") + "x", ""},
           {with(R"("system":"\q")"), ""},
           {R"({"model":"m","messages":[{"role":"user","content":"hi"}]})", "max_tokens"},
           {R"({"max_tokens":5,"messages":[{"role":"user","content":"hi"}]})", "model"},
           {R"({"model":"m","max_tokens":5})", "messages"},
           {message(""), "messages"},
           {with(R"("max_tokens":0)"), "max_tokens"},
           {with(R"("max_tokens":"5")"), "max_tokens"},
           {with(R"("messages":[])"), "messages"},
           {with(R"("stream":1)"), "stream"},
           {with(R"("temperature":"hot")"), "temperature"},
           {with(R"("top_k":[1])"), "top_k"},
           {with(R"("metadata":"u")"), "metadata"},
           {with(R"("metadata":{"user_id":5})"), "metadata.user_id"},
           {with(R"("stop_sequences":"x")"), "stop_sequences"},
           {with(R"("stop_sequences":["x",1])"), "stop_sequences[1]"},
           {with(R"("system":5)"), "system"},
           {with(R"("system":[{"type":"image"}])"), "system[0].type"},
           {with(R"("tools":[{"name":"f"}])"), "tools"},
           {with(R"("tool_choice":{"type":"any"})"), "tool_choice"},
           {with(R"("thinking":{"type":"enabled","budget_tokens":1024})"), "thinking"},
           {with(R"("mcp_servers":[{}])"), "mcp_servers"},
           {with(R"("something":true)"), "something"},
           {message(R"("hi")"), "messages[0]"},
           {message(R"({"role":"system","content":"x"})"), "messages[0].role"},
           {message(R"({"role":"user"})"), "messages[0].content"},
           {message(R"({"role":"user","content":null})"), "messages[0].content"},
           {message(R"({"role":"user","content":"x","content":"y"})"), "messages[0].content"},
           {message(R"({"role":"user","content":"x","name":"y"})"), "messages[0].name"},
           {block(R"("x")"), "messages[0].content[0]"},
           {block(R"({"text":"x"})"), "messages[0].content[0].type"},
           {block(R"({"type":"text"})"), "messages[0].content[0].text"},
           {block(R"({"type":"text","text":"a"},{"type":"image","source":{"type":"base64"}})"),
            "messages[0].content[1].type"},
           {block(R"({"type":"tool_result","tool_use_id":"t"})"), "messages[0].content[0].type"},
       }) {
    JsonParser parser;
    const auto request = read_anthropic_request(parser, body);
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().status, 400);
    EXPECT_EQ(request.error().param, param) << body << "\n" << request.error().message;
    const auto shaped = Json::parse(error_body(Provider::anthropic, request.error()));
    EXPECT_EQ(shaped["error"]["type"], "invalid_request_error");
    EXPECT_NE(shaped["error"]["message"].get<std::string>().find(param), std::string::npos);
  }
}

TEST(CountTokens, NeedsNoLimit) {
  JsonParser parser;
  const auto request =
      read_count_tokens(parser, R"({"model":"m","system":"s","messages":[{"role":"user","content":"hi"}]})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(*read_messages(parser, request->openai_body),
            (std::vector<ChatMessage>{{"system", "s"}, {"user", "hi"}}));
  EXPECT_EQ(count_tokens_body(14), R"({"input_tokens":14})");
}

}  // namespace
}  // namespace truekeel::protocol
