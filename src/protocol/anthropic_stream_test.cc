// SPDX-License-Identifier: Apache-2.0
#include "protocol/anthropic_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "protocol/sse.h"

namespace truekeel::protocol {
namespace {

using Json = nlohmann::json;

/// Event names and what of each a reader looks at.
std::vector<std::string> events(const std::string& stream) {
  SseParser parser;
  parser.push(stream);
  std::vector<std::string> out;
  while (true) {
    const auto block = parser.next();
    if (!block || !*block) break;
    const auto data = Json::parse((*block)->data);
    EXPECT_EQ(data.at("type"), (*block)->event);
    std::string line((*block)->event);
    if (data.contains("index")) line += " " + data["index"].dump();
    if (data.contains("delta")) line += " " + data["delta"].dump();
    if (data.contains("usage")) line += " " + data["usage"]["output_tokens"].dump();
    if (data.contains("error")) line += " " + data["error"]["type"].get<std::string>();
    out.push_back(line);
  }
  EXPECT_EQ(parser.rest(), "");
  return out;
}

std::string chunk(const std::string& delta, const std::string& rest = R"("finish_reason":null)") {
  return R"({"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":)" + delta + "," + rest +
         "}]}";
}

const std::string kRole = chunk(R"({"role":"assistant","content":""})");
const std::string kUsage = R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}})";

std::vector<std::string> run(const std::vector<std::string>& datas, bool end = true) {
  AnthropicStream stream({"msg_1", "m"}, 7);
  std::string out;
  for (const auto& data : datas) stream.on_data(data, out);
  if (end) stream.on_end(out);
  EXPECT_EQ(stream.done(), end || out.contains("message_stop") || out.contains("event: error"));
  return events(out);
}

using Lines = std::vector<std::string>;

TEST(AnthropicStream, TextInTheRightOrder) {
  EXPECT_EQ(run({kRole, chunk(R"({"content":"He"})"), chunk(R"({"content":"llo\n"})"),
                 chunk("{}", R"("finish_reason":"stop")"), kUsage, "[DONE]"}),
            (Lines{"message_start", "content_block_start 0",
                   R"(content_block_delta 0 {"text":"He","type":"text_delta"})",
                   R"(content_block_delta 0 {"text":"llo\n","type":"text_delta"})", "content_block_stop 0",
                   R"(message_delta {"stop_reason":"end_turn","stop_sequence":null} 2)", "message_stop"}));
}

TEST(AnthropicStream, StartShowsIdentityAndEstimate) {
  AnthropicStream stream({"msg_1", "my \"model\""}, 7);
  std::string out;
  stream.on_data(kRole, out);
  const auto data = Json::parse(out.substr(out.find('{')));
  EXPECT_EQ(data, Json::parse(
                      R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",
      "model":"my \"model\"","content":[],"stop_reason":null,"stop_sequence":null,
      "usage":{"input_tokens":7,"cache_read_input_tokens":0,"output_tokens":0}}})"));
}

TEST(AnthropicStream, AnEmptyAnswerHasNoBlocks) {
  EXPECT_EQ(run({kRole, chunk("{}", R"("finish_reason":"length")"), "[DONE]"}),
            (Lines{"message_start", R"(message_delta {"stop_reason":"max_tokens","stop_sequence":null} 0)",
                   "message_stop"}));
}

TEST(AnthropicStream, AStopSequenceIsToldWhereTheServerTells) {
  const auto last = [](const std::string& rest) { return run({chunk("{}", rest), "[DONE]"}).at(1); };
  EXPECT_EQ(last(R"("finish_reason":"stop","stop_reason":"\n\n")"),
            R"(message_delta {"stop_reason":"stop_sequence","stop_sequence":"\n\n"} 0)");
  EXPECT_EQ(last(R"("matched_stop":"END","finish_reason":"stop")"),
            R"(message_delta {"stop_reason":"stop_sequence","stop_sequence":"END"} 0)");
  EXPECT_EQ(last(R"("finish_reason":"stop","stop_reason":null,"matched_stop":2)"),
            R"(message_delta {"stop_reason":"end_turn","stop_sequence":null} 0)");
}

TEST(AnthropicStream, UsageMayComeInAnyChunk) {
  const std::string both = R"({"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],)"
                           R"("usage":{"prompt_tokens":9,"completion_tokens":1}})";
  EXPECT_EQ(run({both, "[DONE]"}).at(4),
            R"(message_delta {"stop_reason":"end_turn","stop_sequence":null} 1)");
}

TEST(AnthropicStream, SeveralChoicesInAChunk) {
  EXPECT_EQ(
      run({R"({"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"x"},"finish_reason":"length"},)"
           R"({"delta":{"content":"b"},"index":0}]})",
           chunk("{}", R"("finish_reason":"stop")"), "[DONE]"}),
      (Lines{"message_start", "content_block_start 0",
             R"(content_block_delta 0 {"text":"ab","type":"text_delta"})", "content_block_stop 0",
             R"(message_delta {"stop_reason":"end_turn","stop_sequence":null} 0)", "message_stop"}));
}

std::string call(const std::string& fields) { return chunk(R"({"tool_calls":[)" + fields + "]}"); }

TEST(AnthropicStream, CallsOfToolsAreBlocks) {
  const std::string calls = R"("finish_reason":"tool_calls")";
  EXPECT_EQ(run({kRole, chunk(R"({"content":"Let me see."})"),
                 call(R"({"index":0,"id":"t1","type":"function","function":{"name":"f","arguments":""}})"),
                 call(R"({"index":0,"function":{"arguments":"{\"a\":"}})"),
                 call(R"({"index":0,"function":{"arguments":" 1}"}})"),
                 call(R"({"index":1,"function":{"name":"g","arguments":"{}"}})"), chunk(R"({"content":"!"})"),
                 chunk("{}", calls), kUsage, "[DONE]"}),
            (Lines{"message_start", "content_block_start 0",
                   R"(content_block_delta 0 {"text":"Let me see.","type":"text_delta"})",
                   "content_block_stop 0", "content_block_start 1",
                   R"(content_block_delta 1 {"partial_json":"{\"a\":","type":"input_json_delta"})",
                   R"(content_block_delta 1 {"partial_json":" 1}","type":"input_json_delta"})",
                   "content_block_stop 1", "content_block_start 2",
                   R"(content_block_delta 2 {"partial_json":"{}","type":"input_json_delta"})",
                   "content_block_stop 2", "content_block_start 3",
                   R"(content_block_delta 3 {"text":"!","type":"text_delta"})", "content_block_stop 3",
                   R"(message_delta {"stop_reason":"tool_use","stop_sequence":null} 2)", "message_stop"}));
}

TEST(AnthropicStream, ACallStartsWithItsIdAndName) {
  const auto start = [](const std::string& fields) {
    AnthropicStream stream({"msg_1", "m"});
    std::string out;
    stream.on_data(call(fields), out);
    const auto at = out.find("event: content_block_start");
    return Json::parse(out.substr(out.find('{', at),
                                  out.find('\n', out.find('{', at)) - out.find('{', at)))["content_block"];
  };
  EXPECT_EQ(start(R"({"index":0,"id":"t1","function":{"name":"f"}})"),
            Json::parse(R"({"type":"tool_use","id":"t1","name":"f","input":{}})"));
  EXPECT_EQ(start(R"({"index":2,"function":{"name":"f"}})")["id"], "toolu_msg_1_2");
}

TEST(AnthropicStream, CallsThatSomeServersEndWithStop) {
  const auto last = [](const std::string& finish) {
    return run({call(R"({"index":0,"id":"t","function":{"name":"f","arguments":"{}"}})"),
                chunk("{}", R"("finish_reason":")" + finish + "\""), "[DONE]"})
        .at(4);
  };
  EXPECT_EQ(last("stop"), R"(message_delta {"stop_reason":"tool_use","stop_sequence":null} 0)");
  EXPECT_EQ(last("length"), R"(message_delta {"stop_reason":"max_tokens","stop_sequence":null} 0)");
}

TEST(AnthropicStream, PiecesThatHaveNoPlaceAreAnErrorNeverLost) {
  const std::string first = call(R"({"index":0,"id":"t","function":{"name":"f","arguments":"{"}})");
  const std::string second = call(R"({"index":1,"id":"u","function":{"name":"g","arguments":"{"}})");
  const std::string rest = call(R"({"index":0,"function":{"arguments":"}"}})");
  EXPECT_EQ(run({first, second, rest}).back(), "error api_error");
  EXPECT_EQ(run({first, chunk(R"({"content":"x"})"), rest}).back(), "error api_error");
  EXPECT_EQ(run({rest}).back(), "error api_error");
}

TEST(AnthropicStream, ACutStreamIsAnErrorNeverACleanEnd) {
  EXPECT_EQ(run({kRole, chunk(R"({"content":"He"})")}).back(), "error api_error");
  EXPECT_EQ(run({}), Lines{"error api_error"});
}

TEST(AnthropicStream, AStreamWithoutDoneIsWholeOnceFinished) {
  EXPECT_EQ(run({kRole, chunk("{}", R"("finish_reason":"stop")")}).back(), "message_stop");
}

TEST(AnthropicStream, ErrorsInMidStream) {
  EXPECT_EQ(
      run({kRole, R"({"error":{"code":503,"message":"busy"}})", chunk(R"({"content":"late"})"), "[DONE]"}),
      (Lines{"message_start", "error overloaded_error"}));
  EXPECT_EQ(run({kRole, R"({"error":{"message":"broken"}})"}).back(), "error api_error");
  EXPECT_EQ(run({kRole, "not json"}).back(), "error api_error");
  EXPECT_EQ(run({kRole, chunk(R"({"content":"\q"})")}).back(), "error api_error");
}

TEST(AnthropicStream, TheGatewaysOwnErrorEndsItOnce) {
  AnthropicStream stream({"msg_1", "m"});
  std::string out;
  stream.on_data(kRole, out);
  stream.on_error({504, "The deadline has passed.", {}, {}}, out);
  stream.on_error({500, "again", {}, {}}, out);
  stream.on_end(out);
  stream.on_data("[DONE]", out);
  EXPECT_EQ(events(out), (Lines{"message_start", "error timeout_error"}));
}

TEST(AnthropicMessage, TranslatesAWholeAnswer) {
  JsonParser parser;
  const auto message = anthropic_message(
      parser,
      R"({"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \ud83d\ude00"},"finish_reason":"stop",
          "stop_reason":"###"}],"usage":{"prompt_tokens":10,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}})",
      {"msg_1", "claude-x"});
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(Json::parse(*message),
            Json::parse(R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-x",
      "content":[{"type":"text","text":"Hi \ud83d\ude00"}],"stop_reason":"stop_sequence","stop_sequence":"###",
      "usage":{"input_tokens":6,"cache_read_input_tokens":4,"output_tokens":3}})"));
}

TEST(AnthropicMessage, ReasonsAndEmptyText) {
  const auto reason = [](const std::string& finish) {
    JsonParser parser;
    const auto message = anthropic_message(
        parser, R"({"choices":[{"message":{"content":null},"finish_reason":")" + finish + R"("}]})",
        {"i", "m"});
    const auto json = Json::parse(message.value());
    EXPECT_TRUE(json["content"].empty());
    return json["stop_reason"].get<std::string>();
  };
  EXPECT_EQ(reason("stop"), "end_turn");
  EXPECT_EQ(reason("length"), "max_tokens");
  EXPECT_EQ(reason("tool_calls"), "end_turn") << "no tool is called";
  EXPECT_EQ(reason("content_filter"), "refusal");
}

TEST(AnthropicMessage, CallsTools) {
  const auto content = [](const std::string& arguments, const std::string& finish) {
    JsonParser parser;
    const auto message = anthropic_message(
        parser,
        R"({"choices":[{"message":{"content":"Hm","tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":)" +
            arguments + R"(}},{"function":{"name":"g","arguments":""}}]},"finish_reason":")" + finish +
            "\"}]}",
        {"i", "m"});
    if (!message) return message.error().message;
    const auto json = Json::parse(*message);
    return json["stop_reason"].get<std::string>() + json["content"].dump();
  };
  const auto blocks = [](const std::string& input) {
    return Json::parse(R"([{"type":"text","text":"Hm"},{"type":"tool_use","id":"t1","name":"f","input":)" +
                       input + R"(},{"type":"tool_use","id":"toolu_i_1","name":"g","input":{}}])")
        .dump();
  };
  EXPECT_EQ(content(R"("{\"a\": [1, \"\\u00e9\"]}")", "tool_calls"),
            "tool_use" + blocks(R"({"a":[1,"\u00e9"]})"));
  EXPECT_EQ(content(R"({"a": "b\"c"})", "stop"), "tool_use" + blocks(R"({"a":"b\"c"})"))
      << "arguments as an object";
  EXPECT_EQ(content(R"("{\"a\": [1,")", "length"), "max_tokens" + blocks("{}"));
  for (const char* broken : {R"("{\"a\": [1,")", R"("[1]")", R"("5")", R"("{\"a\":\"\\q\"}")"})
    EXPECT_THAT(content(broken, "tool_calls"), testing::HasSubstr("no JSON object")) << broken;
}

TEST(AnthropicMessage, WhatIsNoAnswerIsAnError) {
  JsonParser parser;
  for (const char* body : {"", "<html>", "{}", "[]", R"({"choices":[]})"}) {
    const auto message = anthropic_message(parser, body, {"i", "m"});
    ASSERT_FALSE(message) << body;
    EXPECT_EQ(message.error().status, 502);
  }
  EXPECT_EQ(anthropic_message(parser, R"({"error":{"message":"bad","code":429}})", {"i", "m"}).error(),
            (ApiError{429, "bad", {}, "429"}));
}

}  // namespace
}  // namespace truekeel::protocol
