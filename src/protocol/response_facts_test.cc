// SPDX-License-Identifier: Apache-2.0
#include "protocol/response_facts.h"

#include <gtest/gtest.h>

namespace truekeel::protocol {
namespace {

TEST(ResponseReader, WholeAnswer) {
  ResponseReader reader;
  // The shape of OpenAI's API reference, chat/completions.
  const auto facts = reader.read(R"({
    "id": "chatcmpl-B9", "object": "chat.completion", "created": 1741569952, "model": "gpt-x",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!", "refusal": null, "annotations": []},
                 "logprobs": null, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
              "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
              "completion_tokens_details": {"reasoning_tokens": 0}},
    "service_tier": "default", "system_fingerprint": "fp_44709d6fcb"})");
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->id, "chatcmpl-B9");
  EXPECT_EQ(facts->model, "gpt-x");
  EXPECT_EQ(facts->system_fingerprint, "fp_44709d6fcb");
  EXPECT_EQ(facts->usage, (Usage{19, 10, 4, 29}));
  EXPECT_EQ(facts->choices, 1);
  EXPECT_EQ(facts->finished, 1);
  EXPECT_EQ(facts->finish_reason, "stop");
  EXPECT_TRUE(facts->has_output);
  EXPECT_FALSE(facts->has_logprobs || facts->is_error);
}

struct Case {
  const char* json;
  bool has_output, has_logprobs, is_error;
  std::size_t choices, finished;
};

TEST(ResponseReader, Chunks) {
  const std::vector<Case> cases = {
      {R"({"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]})", false, false, false, 1, 0},
      {R"({"choices":[{"index":0,"delta":{"role":"assistant","content":null},"logprobs":null}]})", false,
       false, false, 1, 0},
      {R"({"choices":[{"delta":{"content":"\n"},"logprobs":{"content":[{"token":"x"}]},"finish_reason":null}]})",
       true, true, false, 1, 0},
      {R"({"choices":[{"delta":{"reasoning_content":"hm"}}]})", true, false, false, 1, 0},
      {R"({"choices":[{"delta":{"tool_calls":[{"index":0}]}}]})", true, false, false, 1, 0},
      {R"({"choices":[{"delta":{"tool_calls":[]}}]})", false, false, false, 1, 0},
      {R"({"choices":[{"delta":{},"finish_reason":"length"}]})", false, false, false, 1, 1},
      {R"({"choices":[{"delta":{"content":""},"finish_reason":""},{"delta":{"content":"b"},"finish_reason":"stop"}]})",
       true, false, false, 2, 1},
      {R"({"choices":[{"text":"hello","logprobs":{"tokens":["hello"]}}]})", true, true, false, 1, 0},
      {R"({"choices":[],"usage":{"prompt_tokens":1}})", false, false, false, 0, 0},
      {R"({"error":{"message":"out of memory"}})", false, false, true, 0, 0},
      {R"({"error":null,"choices":[]})", false, false, false, 0, 0},
      {R"({"object":"error","message":"bad"})", false, false, true, 0, 0},
      // Fields of unexpected kinds count as not stated.
      {R"({"id":5,"model":[],"choices":{"a":1},"usage":"many"})", false, false, false, 0, 0},
      {R"({"choices":[null,"x",{"delta":[],"finish_reason":7}]})", false, false, false, 3, 0},
      {"{}", false, false, false, 0, 0},
  };
  ResponseReader reader;
  for (const auto& c : cases) {
    const auto facts = reader.read(c.json);
    ASSERT_TRUE(facts) << c.json;
    EXPECT_EQ(facts->has_output, c.has_output) << c.json;
    EXPECT_EQ(facts->has_logprobs, c.has_logprobs) << c.json;
    EXPECT_EQ(facts->is_error, c.is_error) << c.json;
    EXPECT_EQ(facts->choices, c.choices) << c.json;
    EXPECT_EQ(facts->finished, c.finished) << c.json;
  }
}

TEST(ResponseReader, UsageOddities) {
  ResponseReader reader;
  EXPECT_EQ(reader.read(R"({"usage":null})")->usage, std::nullopt);
  EXPECT_EQ(reader.read(R"({"usage":{}})")->usage, Usage{});
  EXPECT_EQ(
      reader.read(R"({"usage":{"prompt_tokens":-1,"completion_tokens":2.0,"prompt_tokens_details":null}})")
          ->usage,
      (Usage{0, 2, 0}));
}

TEST(ResponseReader, WhatIsNoObjectIsAnError) {
  ResponseReader reader;
  for (const char* json :
       {"", "[DONE]", "[]", "null", "{", R"({"choices":[{"delta":)", R"({"id":"a"}})", "\xFF"}) {
    EXPECT_FALSE(reader.read(json)) << json;
  }
  EXPECT_TRUE(is_done("[DONE]"));
  EXPECT_TRUE(reader.read("{}"));
}

}  // namespace
}  // namespace truekeel::protocol
