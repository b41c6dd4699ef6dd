// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
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

TEST(AnthropicRequest, TranslatesTools) {
  const std::string tools =
      R"("tools":[{"name":"f","description":"d\n","input_schema":{"type":"object","a":["\u00e9"]},)"
      R"("cache_control":{"type":"ephemeral"}},{"type":"custom","name":"g","input_schema":{},"strict":true}])";
  const std::string functions =
      R"("tools":[{"type":"function","function":{"name":"f","description":"d\n","parameters":{"type":"object","a":["\u00e9"]}}},)"
      R"({"type":"function","function":{"name":"g","strict":true,"parameters":{}}}])";
  const auto choose = [&](const std::string& choice) {
    const auto chat = translate(with((choice.empty() ? "" : R"("tool_choice":)" + choice + ",") + tools));
    const auto at = chat.find(functions);
    EXPECT_NE(at, std::string::npos) << chat;
    return chat.substr(at + functions.size());
  };
  EXPECT_EQ(choose(""), "}");
  EXPECT_EQ(choose(R"({"type":"auto"})"), "}");
  EXPECT_EQ(choose(R"({"type":"none"})"), R"(,"tool_choice":"none"})");
  EXPECT_EQ(choose(R"({"type":"any","disable_parallel_tool_use":true})"),
            R"(,"tool_choice":"required","parallel_tool_calls":false})");
  EXPECT_EQ(choose(R"({"name":"g","type":"tool"})"),
            R"(,"tool_choice":{"type":"function","function":{"name":"g"}}})");
}

std::string messages_of(const std::string& messages) {
  const auto chat = translate(R"({"model":"m","max_tokens":5,"messages":[)" + messages + "]}");
  const auto json = Json::parse(chat, nullptr, false);
  return json.is_object() ? json["messages"].dump() : chat;
}

TEST(AnthropicRequest, TranslatesAConversationWithTools) {
  EXPECT_EQ(messages_of(R"({"role":"assistant","content":[{"type":"text","text":"I look."},
      {"type":"tool_use","id":"t1","name":"f","input":{"city": "K\u00f6ln \"x\""}},{"type":"tool_use","id":"t2","name":"g","input":{}}]},
      {"content":[{"type":"tool_result","tool_use_id":"t1","content":"rain"},
                  {"type":"tool_result","tool_use_id":"t2","is_error":true,"content":[{"type":"text","text":"no\n"},{"type":"text","text":"g"}]},
                  {"type":"text","text":"So?"}],"role":"user"},
      {"role":"assistant","content":[{"type":"tool_use","id":"t3","name":"f","input":{}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t3"}]})"),
            Json::parse(R"([{"role":"assistant","content":"I look.","tool_calls":[
        {"id":"t1","type":"function","function":{"name":"f","arguments":"{\"city\": \"K\\u00f6ln \\\"x\\\"\"}"}},
        {"id":"t2","type":"function","function":{"name":"g","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"t1","content":"rain"},
      {"role":"tool","tool_call_id":"t2","content":"Error: no\n\ng"},
      {"role":"user","content":"So?"},
      {"role":"assistant","content":null,"tool_calls":[{"id":"t3","type":"function","function":{"name":"f","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"t3","content":""}])")
                .dump());
}

TEST(AnthropicRequest, TranslatesImagesAndDocuments) {
  EXPECT_EQ(messages_of(R"({"role":"user","content":[
      {"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"}},
      {"type":"image","source":{"url":"https://a/b.png","type":"url"}},
      {"type":"document","title":"T","context":"C","source":{"type":"text","media_type":"text/plain","data":"words"}},
      {"type":"document","title":"p.pdf","source":{"type":"base64","media_type":"application/pdf","data":"UERG"}},
      {"type":"document","source":{"type":"content","content":[{"type":"text","text":"part"}]}},
      {"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"url","url":"u"}},{"type":"text","text":"seen"}]}]})"),
            Json::parse(R"([{"role":"tool","tool_call_id":"t","content":"seen"},{"role":"user","content":[
        {"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}},
        {"type":"image_url","image_url":{"url":"https://a/b.png"}},
        {"type":"text","text":"T"},{"type":"text","text":"C"},{"type":"text","text":"words"},
        {"type":"file","file":{"filename":"p.pdf","file_data":"data:application/pdf;base64,UERG"}},
        {"type":"text","text":"part"},{"type":"image_url","image_url":{"url":"u"}}]}])")
                .dump());
}

TEST(AnthropicRequest, DocumentsInDocumentsEnd) {
  std::string deep = R"({"type":"text","text":"x"})";
  for (int i = 0; i < 60; ++i) {
    deep = R"({"type":"document","source":{"type":"content","content":[)" + deep + "]}}";
  }
  EXPECT_THAT(messages_of(R"({"role":"user","content":[)" + deep + "]}"),
              testing::HasSubstr("nested deeper"));
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
           {with(R"("tools":[{"name":"f"}])"), "tools[0].input_schema"},
           {with(R"("tools":[{"input_schema":{}}])"), "tools[0].name"},
           {with(R"("tools":[{"name":"f","input_schema":[]}])"), "tools[0].input_schema"},
           {with(R"("tools":[{"name":"f","input_schema":{"a":"\q"}}])"), ""},
           {with(R"("tools":[{"type":"web_search_20250305","name":"web_search"}])"), "tools[0].type"},
           {with(R"("tools":{})"), "tools"},
           {with(R"("tool_choice":{"type":"any"})"), "tool_choice"},
           {with(R"("tool_choice":{"type":"tool"})"), "tool_choice.name"},
           {with(R"("tool_choice":{"type":"some"})"), "tool_choice.type"},
           {with(R"("tool_choice":"auto")"), "tool_choice"},
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
            "messages[0].content[1].source.media_type"},
           {block(R"({"type":"image"})"), "messages[0].content[0].source"},
           {block(R"({"type":"image","source":{"type":"file","file_id":"f"}})"),
            "messages[0].content[0].source.type"},
           {block(R"({"type":"document","source":{"type":"url","url":"u"}})"),
            "messages[0].content[0].source.type"},
           {block(R"({"type":"document","citations":{"enabled":true},"source":{"type":"text","data":"x"}})"),
            "messages[0].content[0].citations"},
           {block(R"({"type":"search_result"})"), "messages[0].content[0].type"},
           {block(R"({"type":"tool_result"})"), "messages[0].content[0].tool_use_id"},
           {block(R"({"type":"tool_result","tool_use_id":"t","content":[{"type":"tool_use"}]})"),
            "messages[0].content[0].content[0].type"},
           {block(R"({"type":"tool_use","id":"t","name":"f","input":{}})"), "messages[0].content"},
           {message(
                R"({"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":"x"}]})"),
            "messages[0].content[0].input"},
           {message(R"({"role":"assistant","content":[{"type":"tool_result","tool_use_id":"t"}]})"),
            "messages[0].content"},
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
