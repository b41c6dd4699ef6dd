// SPDX-License-Identifier: Apache-2.0
#include "protocol/openai_request.h"

#include <gtest/gtest.h>

#include "protocol/json_splice.h"

namespace truekeel::protocol {
namespace {

ApiResult<OpenAiRequest> chat(const std::string& body) {
  JsonParser parser;
  return read_openai_request(OpenAiCall::chat, parser, body);
}

ApiResult<OpenAiRequest> completions(const std::string& body) {
  JsonParser parser;
  return read_openai_request(OpenAiCall::completions, parser, body);
}

/// A valid chat body with `members` added.
std::string with(const std::string& members) {
  return R"({"model":"m","messages":[{"role":"user","content":"hi"}])" +
         (members.empty() ? "" : "," + members) + "}";
}

TEST(OpenAiRequest, ReadsWhatRoutingNeeds) {
  const auto request = chat(R"({
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "h\u00e9 \ud83d\ude00"}],
    "model": "smollm2-135m", "stream": true, "stream_options": {"include_usage": true, "x": [1]},
    "max_tokens": 100, "max_completion_tokens": 16, "n": 2, "user": "u\n1", "prompt_cache_key": "k",
    "temperature": 0.7, "top_p": 1, "min_p": 0.05, "top_k": 40, "seed": -3, "presence_penalty": 1e-1,
    "frequency_penalty": -2, "logit_bias": {"50256": -100}, "logprobs": true, "top_logprobs": 5,
    "unknown": {"deep": [null, true, 1.0]}})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "smollm2-135m");
  EXPECT_TRUE(request->stream);
  EXPECT_TRUE(request->include_usage);
  EXPECT_EQ(request->max_tokens, 100);
  EXPECT_EQ(request->max_output(), 16);
  EXPECT_EQ(request->n, 2);
  EXPECT_EQ(request->user, "u\n1");
  EXPECT_EQ(request->prompt_cache_key, "k");
  EXPECT_EQ(request->sampling.temperature, 0.7);
  EXPECT_EQ(request->sampling.top_p, 1.0);
  EXPECT_EQ(request->sampling.min_p, 0.05);
  EXPECT_EQ(request->sampling.top_k, 40);
  EXPECT_EQ(request->sampling.seed, -3);
  EXPECT_EQ(request->sampling.presence_penalty, 0.1);
  EXPECT_EQ(request->sampling.frequency_penalty, -2.0);
  EXPECT_TRUE(request->sampling.logit_bias);
  EXPECT_TRUE(request->logprobs);
  EXPECT_EQ(request->top_logprobs, 5);
  EXPECT_EQ(request->prompt.messages, 2);
  EXPECT_EQ(request->prompt.text_bytes, 6 + 9 + 4 + 8);
  EXPECT_EQ(request->prompt.text_bytes_max, 6 + 9);
  EXPECT_TRUE(request->prompt.text_only());
  EXPECT_EQ(request->members.size(), 20);
}

TEST(OpenAiRequest, SilenceHasDefaults) {
  const auto request = chat(with(""));
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->stream || request->include_usage || request->tools || request->response_format);
  EXPECT_FALSE(request->logprobs || request->sampling.logit_bias || request->top_logprobs);
  EXPECT_EQ(request->max_output(), std::nullopt);
  EXPECT_EQ(request->n, 1);
  EXPECT_EQ(request->sampling.temperature, std::nullopt);
  const auto null = chat(with(
      R"("stream":null,"max_tokens":null,"n":null,"user":null,"tools":null,"stream_options":null,"temperature":null)"));
  ASSERT_TRUE(null) << null.error().message;
  EXPECT_EQ(null->n, 1);
  EXPECT_EQ(null->max_output(), std::nullopt);
}

TEST(OpenAiRequest, WholeNumbersMayBeWrittenInSeveralWays) {
  for (const char* text : {"16", "16.0", "1.6e1", "160e-1"}) {
    EXPECT_EQ(chat(with(std::string(R"("max_tokens":)") + text))->max_tokens, 16) << text;
  }
  EXPECT_EQ(chat(with(R"("max_tokens":18446744073709551615)"))->max_tokens, ~std::uint64_t{0});
  EXPECT_EQ(chat(with(R"("n_predict":7)"))->max_output(), 7);
}

TEST(OpenAiRequest, WhatTheServerJudgesIsNotRefusedHere) {
  const auto request =
      chat(with(R"("temperature":"hot","top_k":1.5,"seed":99999999999999999999,"top_p":[1],"min_p":1e999)"));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->sampling.temperature, std::nullopt);
  EXPECT_EQ(request->sampling.top_k, std::nullopt);
  EXPECT_EQ(request->sampling.seed, std::nullopt);
  EXPECT_EQ(request->sampling.top_p, std::nullopt);
  EXPECT_EQ(request->sampling.min_p, std::nullopt);
}

struct Fault {
  std::string body, param;
};

TEST(OpenAiRequest, FaultsNameTheField) {
  const std::string messages = R"("messages":[{"role":"user","content":"hi"}])";
  const std::vector<Fault> faults = {
      {"", ""},
      {"[]", ""},
      {"{", ""},
      {R"({"model":"m"} x)", ""},
      {"{\"model\":\"m\xFF\"}", ""},
      {R"({"model":"\q",)" + messages + "}", ""},
      {with(R"("x":01)"), ""},
      {with(R"("user":"a":1)"), ""},
      {R"({"messages":[{"role":"user":x],"content":"hi"}],"model":"m"})", ""},
      {with(R"("x":"a":[1])"), ""},
      {R"({"model":"m","messages":[{"role":"user":"x","content":"hi"}]})", ""},
      {with(R"("temperature":1.)"), ""},
      {with("\"x\":" + std::string(200, '[') + std::string(200, ']')), ""},
      {"{" + messages + "}", "model"},
      {R"({"model":1,)" + messages + "}", "model"},
      {R"({"model":null,)" + messages + "}", "model"},
      {R"({"model":"m"})", "messages"},
      {R"({"model":"m","messages":[]})", "messages"},
      {R"({"model":"m","messages":{}})", "messages"},
      {R"({"model":"m","messages":["hi"]})", "messages[0]"},
      {R"({"model":"m","messages":[{"content":"hi"}]})", "messages[0].role"},
      {R"({"model":"m","messages":[{"role":5}]})", "messages[0].role"},
      {R"({"model":"m","messages":[{"role":"user","role":"system"}]})", "messages[0].role"},
      {R"({"model":"m","messages":[{"role":"user"},{"role":"user","content":7}]})", "messages[1].content"},
      {R"({"model":"m","messages":[{"role":"user","content":"a","content":"b"}]})", "messages[0].content"},
      {R"({"model":"m","messages":[{"role":"user","content":[1]}]})", "messages[0].content[0]"},
      {R"({"model":"m","messages":[{"role":"user","content":["a",{}]}]})", "messages[0].content[1].type"},
      {with(R"("model":"other")"), "model"},
      {with(R"("mod\u0065l":"other")"), "model"},
      {with(R"("max_tokens":1,"max_tokens":100000)"), "max_tokens"},
      {with(R"("max_tokens":null,"max_tokens":100000)"), "max_tokens"},
      {with(R"("max_tokens":-1)"), "max_tokens"},
      {with(R"("max_tokens":1.5)"), "max_tokens"},
      {with(R"("max_tokens":1e300)"), "max_tokens"},
      {with(R"("max_tokens":9007199254740994.0)"), "max_tokens"},
      {with(R"("max_tokens":"5")"), "max_tokens"},
      {with(R"("max_tokens":[5])"), "max_tokens"},
      {with(R"("max_completion_tokens":true)"), "max_completion_tokens"},
      {with(R"("n":"2")"), "n"},
      {with(R"("stream":"true")"), "stream"},
      {with(R"("stream_options":true)"), "stream_options"},
      {with(R"("stream_options":{"include_usage":1})"), "stream_options.include_usage"},
      {with(R"("user":7)"), "user"},
      {with(R"("logprobs":5)"), "logprobs"},
      {with(R"("top_logprobs":"5")"), "top_logprobs"},
      {with(R"("response_format":"json")"), "response_format"},
  };
  for (const auto& [body, param] : faults) {
    const auto request = chat(body);
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().status, 400) << body;
    EXPECT_EQ(request.error().param, param) << body << "\n" << request.error().message;
    EXPECT_FALSE(request.error().message.empty());
  }
}

TEST(OpenAiRequest, BoundsMembers) {
  std::string many;
  for (std::size_t i = 0; i < kJsonMembersMax - 2; ++i)
    many += (many.empty() ? "" : ",") + std::string(R"("x":0)");
  EXPECT_TRUE(chat(with(many)));
  EXPECT_FALSE(chat(with(many + R"(,"x":0)")));
}

TEST(OpenAiRequest, FaultsDoNotRepeatContent) {
  const auto request = chat(R"({"model":"m","messages":[{"role":"user","content":"my secret \q"}]})");
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().message.find("secret"), std::string::npos);
}

TEST(OpenAiRequest, ToolsAndFormats) {
  EXPECT_TRUE(chat(with(R"("tools":[{"type":"function"}])"))->tools);
  EXPECT_TRUE(chat(with(R"("functions":[{"name":"f"}])"))->tools);
  EXPECT_FALSE(chat(with(R"("tools":[])"))->tools);
  EXPECT_TRUE(chat(with(R"("response_format":{"type":"json_object"})"))->response_format);
  EXPECT_FALSE(chat(with(R"("response_format":{"type":"text"})"))->response_format);
  EXPECT_FALSE(chat(with(R"("logit_bias":{})"))->sampling.logit_bias);
}

PromptShape shape(const std::string& messages) {
  const auto request = chat(R"({"model":"m","messages":[)" + messages + "]}");
  EXPECT_TRUE(request) << request.error().message;
  return request ? request->prompt : PromptShape{};
}

TEST(OpenAiRequest, CountsWhatIsNoText) {
  const auto media = shape(
      R"({"role":"user","content":[{"type":"text","text":"abc"},{"type":"image_url","image_url":{"url":"data:,x"}},)"
      R"({"text":"de","type":"text"},{"type":"input_audio","input_audio":{}}]})");
  EXPECT_EQ(media.media_parts, 2);
  EXPECT_EQ(media.text_bytes, 4 + 3 + 2 + 3);  // role, texts, and a line break before each further part
  EXPECT_FALSE(media.text_only());

  const auto calls = shape(
      R"({"role":"assistant","content":null,"tool_calls":[{"id":"1"}]},{"role":"tool","tool_call_id":"1","content":"x"})");
  EXPECT_EQ(calls.structured_parts, 1);
  EXPECT_EQ(calls.text_bytes, 9 + 4 + 1 + 1);

  const auto plain =
      shape(R"({"role":"user","name":"bob","content":"x","tool_calls":[],"weight":1,"audio":null})");
  EXPECT_TRUE(plain.text_only());
  EXPECT_EQ(plain.text_bytes, 4 + 3 + 1);

  EXPECT_EQ(shape(R"({"role":"user","content":[{"type":"text","text":5}]})").media_parts, 1);
}

std::string prefix(const std::string& body) {
  const auto request = chat(body);
  return request ? std::string(request->stable_prefix.of(body)) : request.error().message;
}

TEST(OpenAiRequest, KeptBytesAreWhatNoTrimCanTakeAway) {
  const auto kept = [](const std::string& content) {
    return chat(R"({"model":"m","messages":[{"role":"user","name":"somebody","content":")" + content +
                "\"}]}")
        ->prompt.kept_bytes;
  };
  EXPECT_EQ(kept("hello"), 5u);
  EXPECT_EQ(kept("  a b\u00a0 "), 3u);
  EXPECT_EQ(kept(R"(\n\ta longer text, with \"quotes\"\r\n)"), 22u);
  // 32 bytes decoded; ten as written are taken off the ends, the last quote among them
  EXPECT_EQ(kept(R"( \n\u2003 )"), 0u);
  EXPECT_EQ(kept(R"(\\)"), 0u);
  EXPECT_LE(kept(R"(abc\\n)"), 5u);  // a backslash and an n, told from a line break only by what precedes
  EXPECT_GE(kept(R"(abc\\n)"), 3u);
}

TEST(OpenAiRequest, StablePrefixStaysWhileAConversationGrows) {
  const std::string system = R"({"role":"system","content":"s"})", user = R"({"role":"user","content":"a"})";
  const std::string open = R"({"model":"m","messages":[)";
  const std::string first = open + system + "," + user;
  EXPECT_EQ(prefix(first + "]}"), system + "," + user);
  EXPECT_EQ(prefix(first + R"(,{"role":"assistant","content":"b"},{"role":"user","content":"c"}]})"),
            system + "," + user);
  EXPECT_EQ(prefix(open + user + "]}"), user);
  EXPECT_EQ(prefix(open + system + "]}"), system);
  EXPECT_NE(prefix(open + user + "]}"), prefix(open + system + "," + user + "]}"));
}

TEST(OpenAiRequest, Completions) {
  const auto text =
      completions(R"({"model":"m","prompt":"a\nb","suffix":"xyz","logprobs":3,"max_tokens":5})");
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(text->prompt.messages, 1);
  EXPECT_EQ(text->prompt.text_bytes, 3);
  EXPECT_EQ(text->prompt.suffix_bytes, 3);
  EXPECT_TRUE(text->logprobs);
  EXPECT_EQ(text->top_logprobs, 3);

  const auto texts = completions(R"({"model":"m","prompt":["a","bcd"]})");
  EXPECT_EQ(texts->prompt.messages, 2);
  EXPECT_EQ(texts->prompt.text_bytes_max, 3);

  const auto ids = completions(R"({"model":"m","prompt":[1,2,3]})");
  EXPECT_EQ(ids->prompt.messages, 1);
  EXPECT_EQ(ids->prompt.token_ids, 3);

  const auto lists = completions(R"({"model":"m","prompt":[[1,2],[3,4,5]]})");
  EXPECT_EQ(lists->prompt.messages, 2);
  EXPECT_EQ(lists->prompt.token_ids, 5);
  EXPECT_EQ(lists->prompt.token_ids_max, 3);

  for (const char* prompt : {"[]", "{}", "5", "true", R"(["a",1])", R"([1,"a"])", "[[1],2]", "[[\"a\"]]",
                             "[-1]", "[1.5]", "[null]"}) {
    const auto request = completions(R"({"model":"m","prompt":)" + std::string(prompt) + "}");
    ASSERT_FALSE(request) << prompt;
    EXPECT_EQ(request.error().param, "prompt") << prompt;
  }
  EXPECT_EQ(completions(R"({"model":"m"})").error().param, "prompt");
}

TEST(OpenAiRequest, CompletionsPrefixIsTheBeginningOfThePrompt) {
  const std::string common(2000, 'x');
  const auto first = R"({"model":"m","prompt":")" + common + R"("})";
  const auto later = R"({"model":"m","prompt":")" + common + R"( and more"})";
  const auto of = [](const std::string& body) { return completions(body)->stable_prefix.of(body); };
  EXPECT_EQ(of(first), of(later));
  EXPECT_EQ(of(first).size(), 1024);
  EXPECT_EQ(of(R"({"model":"m","prompt":"ab"})"), "ab");
  EXPECT_EQ(of(R"({"model":"m","prompt":[1, 2] })"), "1, 2");
}

TEST(OpenAiRequest, MembersServeSplice) {
  const std::string body =
      R"({"model":"m","x":1.0,"messages":[{"role":"user","content":"hi"}],"max_tokens" : 5 })";
  const auto request = chat(body);
  ASSERT_TRUE(request);
  const std::vector<JsonEdit> edits = {{"max_tokens", {}}, {"max_completion_tokens", "9"}};
  EXPECT_EQ(
      splice(body, request->members, edits),
      R"({"model":"m","x":1.0,"messages":[{"role":"user","content":"hi"}],"max_completion_tokens":9 })");
}

TEST(ReadMessages, DecodesTextAndJoinsParts) {
  JsonParser parser;
  const auto messages = read_messages(parser, with(R"("x":1)"));
  ASSERT_TRUE(messages);
  EXPECT_EQ(*messages, (std::vector<ChatMessage>{{"user", "hi"}}));
  const auto parts = read_messages(
      parser,
      R"({"model":"m","messages":[{"content":[{"type":"text","text":"a\n"},{"type":"text","text":"\u00e9"},"c"],"role":"user"},{"role":"assistant"}]})");
  ASSERT_TRUE(parts);
  EXPECT_EQ(*parts, (std::vector<ChatMessage>{{"user", "a\n\n\xC3\xA9\nc"}, {"assistant", ""}}));
}

TEST(ReadMessages, AgreesWithTheByteCount) {
  const std::string body =
      R"({"model":"m","messages":[{"role":"user","content":["\ud83d","b",{"type":"text","text":"\\"}]},{"role":"x","content":"yz"}]})";
  JsonParser parser;
  const auto request = chat(body);
  const auto messages = read_messages(parser, body);
  ASSERT_TRUE(request && messages);
  std::size_t bytes = 0;
  for (const auto& m : *messages) bytes += m.role.size() + m.text.size();
  EXPECT_EQ(bytes, request->prompt.text_bytes);
}

TEST(ReadPrompts, DecodesTexts) {
  JsonParser parser;
  EXPECT_EQ(read_prompts(parser, R"({"prompt":"a\tb"})"), std::vector<std::string>{"a\tb"});
  EXPECT_EQ(read_prompts(parser, R"({"prompt":["a","b"]})"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read_prompts(parser, R"({"prompt":[1,2]})"), std::vector<std::string>{});
}

TEST(OpenAiRequest, CopesWith64MiB) {
  std::string body = R"({"model":"m","messages":[{"role":"user","content":")";
  body.append(64u << 20, 'x');
  body += R"("}]})";
  JsonParser parser;
  const auto request = read_openai_request(OpenAiCall::chat, parser, body);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->prompt.text_bytes, (64u << 20) + 4);
}

}  // namespace
}  // namespace truekeel::protocol
