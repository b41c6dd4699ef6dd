// SPDX-License-Identifier: Apache-2.0
#include "protocol/unasked.h"

#include <gtest/gtest.h>

#include <string>

namespace truekeel::protocol {
namespace {

std::string without(const std::string& json, const Unasked& unasked) {
  ResponseReader reader;
  const auto facts = reader.read(json);
  EXPECT_TRUE(facts);
  std::string out = "before:";
  append_unasked(out, json, *facts, unasked);
  return out.substr(7);
}

constexpr Unasked kNull{.logprobs = true, .audit = true, .shown = UnaskedLogprobs::null_value};
constexpr Unasked kAbsent{.logprobs = true, .audit = true, .shown = UnaskedLogprobs::absent};

TEST(Unasked, LogprobsBecomeNullOrGo) {
  const std::string json =
      R"({"choices":[{"index":0,"logprobs": {"content":[{"a":[1]}]} ,"audit":[[1,2]], "text":"x"}]})";
  EXPECT_EQ(without(json, kNull), R"({"choices":[{"index":0,"logprobs": null , "text":"x"}]})");
  EXPECT_EQ(without(json, kAbsent), R"({"choices":[{"index":0 , "text":"x"}]})");
  EXPECT_EQ(without(json, {.audit = true}),
            R"({"choices":[{"index":0,"logprobs": {"content":[{"a":[1]}]} , "text":"x"}]})");
  EXPECT_EQ(without(json, {}), json);
}

TEST(Unasked, MembersGoFromAnyPlace) {
  EXPECT_EQ(without(R"({"choices":[{"logprobs":{},"audit":[],"x":1}]})", kAbsent),
            R"({"choices":[{"x":1}]})");
  EXPECT_EQ(without(R"({"choices":[{ "audit":[] , "logprobs":{}}]})", kAbsent), R"({"choices":[{  }]})");
  EXPECT_EQ(without(R"({"choices":[{"x":1 , "logprobs":{} }]})", kAbsent), R"({"choices":[{"x":1  }]})");
  EXPECT_EQ(
      without(R"({"choices":[{"logprobs":{}},{"logprobs":{}},{"logprobs":null}],"logprobs":5})", kAbsent),
      R"({"choices":[{},{},{"logprobs":null}],"logprobs":5})")
      << "of every choice, and of choices alone";
  EXPECT_EQ(without(R"({"choices":[{"message":{"logprobs":"said the model"},"logprobs":{}}]})", kNull),
            R"({"choices":[{"message":{"logprobs":"said the model"},"logprobs":null}]})");
}

TEST(Unasked, EventsForARecordAloneAreKnown) {
  const Unasked worker{.logprobs = true, .audit = true, .records_alone = true};
  ResponseReader reader;
  const auto alone = [&](const char* json, const Unasked& unasked) {
    return only_for_records(*reader.read(json), unasked);
  };
  const char* held_back =
      R"({"choices":[{"delta":{"content":""},"logprobs":{"content":[]},"finish_reason":null}]})";
  EXPECT_TRUE(alone(held_back, worker));
  EXPECT_FALSE(alone(held_back, kNull)) << "this server sends it to everybody";
  EXPECT_FALSE(alone(held_back, {.records_alone = true})) << "the client asked for records";
  EXPECT_FALSE(alone(R"({"choices":[{"delta":{"content":"a"},"logprobs":{"content":[]}}]})", worker));
  EXPECT_FALSE(alone(R"({"choices":[{"delta":{"role":"assistant","content":""},"logprobs":null}]})", worker));
  EXPECT_FALSE(alone(R"({"choices":[{"delta":{},"audit":[],"finish_reason":"stop"}]})", worker));
  EXPECT_FALSE(alone(R"({"choices":[{"delta":{},"audit":[]}],"usage":{"prompt_tokens":1}})", worker));
}

}  // namespace
}  // namespace truekeel::protocol
