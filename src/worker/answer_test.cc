// SPDX-License-Identifier: Apache-2.0
#include "worker/answer.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "engine/synthetic_engine.h"

namespace truekeel::worker {
namespace {

using nlohmann::json;

const engine::Vocabulary& vocabulary() {
  static const auto made = engine::make_synthetic_vocabulary(1, 300);
  return *made;
}

AnswerHead some_head(bool chat) {
  return {.chat = chat,
          .id = "x-1",
          .created_s = 5,
          .model = "m\"",
          .fingerprint = "tk-0",
          .seed = 9,
          .logprobs = true};
}

Delivery token(Token id, std::string text, double logprob = -0.5) {
  return {.choice = 0,
          .record = {.id = id, .logprob = logprob, .rank = 1, .top = {{104, -0.25}, {id, logprob}}},
          .text = std::move(text),
          .ending = std::nullopt};
}

Delivery ending(Finish finish, std::uint32_t tokens) {
  return {.choice = 0,
          .record = {},
          .text = "",
          .ending = Ending{.finish = finish, .prompt_tokens = 3, .completion_tokens = tokens}};
}

/// The data of each event, as JSON; the last must be [DONE] or JSON too.
std::vector<json> events(std::string_view stream) {
  std::vector<json> found;
  while (!stream.empty()) {
    const auto end = stream.find("\n\n");
    EXPECT_TRUE(stream.starts_with("data: ") && end != std::string_view::npos) << stream;
    found.push_back(json::parse(stream.substr(6, end - 6)));
    stream.remove_prefix(end + 2);
  }
  return found;
}

TEST(Answer, ARecordHasTheExactBytesAndReadableText) {
  std::string out;
  append_record(out, {.id = 0xf0, .logprob = -1.25, .rank = 2, .top = {}}, vocabulary());
  EXPECT_EQ(json::parse(out),
            json::parse(R"({"token":"\ufffd","id":240,"bytes":[240],"logprob":-1.25,"rank":2,
                                              "top_logprobs":[]})"));
}

TEST(Answer, AForbiddenTokenStaysANumber) {
  std::string out;
  append_record(out, {.id = 1, .logprob = -std::numeric_limits<double>::infinity()}, vocabulary());
  EXPECT_EQ(json::parse(out)["logprob"], -9999);
}

TEST(Answer, AChatAnswerHasOpenAisShape) {
  ChoiceAnswer choice;
  choice.add(token(104, "h"), true);
  choice.add(token(257, ""), true);
  choice.add(ending(Finish::stop, 2), true);
  const auto answer = json::parse(write_answer(some_head(true), {choice}, {3, 2}, vocabulary()));
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["model"], "m\"");
  EXPECT_EQ(answer["seed"], 9);
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "h");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(answer["choices"][0]["logprobs"]["content"].size(), 2u);
  EXPECT_EQ(answer["choices"][0]["logprobs"]["content"][1]["token"], "<|end|>");
  EXPECT_EQ(answer["usage"], json::parse(R"({"prompt_tokens":3,"completion_tokens":2,"total_tokens":5})"));
}

TEST(Answer, ACompletionHasTheOlderShape) {
  ChoiceAnswer choice;
  choice.add(token(0xc3, ""), true);
  choice.add(token(0xa9, "é"), true);
  choice.add(token(33, "!"), true);
  choice.add(ending(Finish::length, 3), true);
  const auto logprobs =
      json::parse(write_answer(some_head(false), {choice}, {3, 3}, vocabulary()))["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], json::parse(R"(["\ufffd","\ufffd","!"])"));
  EXPECT_EQ(logprobs["text_offset"], json::parse("[0,0,1]"));
  EXPECT_EQ(logprobs["token_logprobs"], json::parse("[-0.5,-0.5,-0.5]"));
  EXPECT_EQ(logprobs["top_logprobs"][2], json::parse(R"({"h":-0.25,"!":-0.5})"));
  EXPECT_EQ(logprobs["content"].size(), 3u);
}

TEST(Answer, AStreamHasARecordForEveryTokenEvenWithoutText) {
  const auto head = some_head(true);
  StreamWriter writer(head, vocabulary());
  std::string out;
  writer.append_opening(out, 0);
  for (const auto& delivery : {token(0xc3, ""), token(0xa9, "é"), ending(Finish::length, 2)}) {
    writer.append(out, delivery);
  }
  writer.append_usage(out, {3, 2});
  const auto all = events(out);
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(all[0]["seed"], 9);
  EXPECT_EQ(all[1]["choices"][0]["delta"]["content"], "");
  EXPECT_EQ(all[1]["choices"][0]["logprobs"]["content"][0]["id"], 0xc3);
  EXPECT_EQ(all[2]["choices"][0]["delta"]["content"], "é");
  EXPECT_EQ(all[3]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(all[4]["choices"], json::array());
  EXPECT_EQ(all[4]["usage"]["total_tokens"], 5);
}

Delivery audited_token() {
  auto delivery = token(0xc3, "");
  delivery.record.position = 4;
  delivery.record.choice = {.id = 0xc3,
                            .rank = 1,
                            .key_margin = 7,
                            .kept_count = 40,
                            .kept_weight = (1ull << 62) + 1,
                            .begin = 5,
                            .end = 1ull << 62};
  delivery.record.full = {.logprob = -0.5,
                          .normaliser = 20.25,
                          .top_id = 104,
                          .top_margin = 0.125,
                          .tail_mass = {0.5, 0.25, 1e-9}};
  return delivery;
}

TEST(Answer, AuditRecordsHaveTheirColumnsWholeAndStreamed) {
  const auto basic = json::parse("[[4,195,1,7,40,4611686018427387905,5,4611686018427387904]]");
  const auto full = json::parse(
      "[[4,195,1,7,40,4611686018427387905,5,4611686018427387904,"
      "-0.5,20.25,104,0.125,0.5,0.25,1e-9]]");
  for (const bool chat : {true, false}) {
    for (const auto audit : {Audit::none, Audit::basic, Audit::full}) {
      auto head = some_head(chat);
      head.logprobs = false;
      head.audit = audit;
      const auto expected = audit == Audit::none ? json() : audit == Audit::basic ? basic : full;
      ChoiceAnswer choice;
      choice.add(audited_token(), head.shows_tokens());
      choice.add(ending(Finish::length, 1), true);
      const auto whole = json::parse(write_answer(head, {choice}, {3, 1}, vocabulary()))["choices"][0];
      EXPECT_EQ(whole.value("audit", json()), expected);
      EXPECT_EQ(whole["logprobs"], nullptr);

      StreamWriter writer(head, vocabulary());
      std::string out;
      writer.append(out, audited_token());
      if (audit == Audit::none) {
        EXPECT_EQ(out, "");
      } else {
        EXPECT_EQ(events(out)[0]["choices"][0]["audit"], expected);
      }
    }
  }
}

TEST(Answer, WithoutLogprobsAStreamSaysOnlyWhatHasText) {
  auto head = some_head(true);
  head.logprobs = false;
  StreamWriter writer(head, vocabulary());
  std::string out;
  writer.append(out, token(0xc3, ""));
  EXPECT_EQ(out, "");
  writer.append(out, token(0xa9, "é"));
  EXPECT_EQ(events(out)[0]["choices"][0]["logprobs"], nullptr);
  head.token_ids = true;
  out.clear();
  writer.append(out, token(0xc3, ""));
  EXPECT_EQ(events(out)[0]["choices"][0]["token_ids"], json::parse("[195]"));
}

}  // namespace
}  // namespace truekeel::worker
