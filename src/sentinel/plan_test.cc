// SPDX-License-Identifier: Apache-2.0
#include "sentinel/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

namespace truekeel::sentinel {
namespace {

using protocol::OpenAiCall;

constexpr Defaults kKnown{.temperature = 1, .top_p = 1, .min_p = 0, .top_k = 0};

std::expected<AuditPlan, Skip> plan(const std::string& fields, EngineKind engine = EngineKind::truekeel,
                                    const Defaults& defaults = kKnown, OpenAiCall call = OpenAiCall::chat) {
  const std::string prompt =
      call == OpenAiCall::chat ? R"("messages":[{"role":"user","content":"hi"}])" : R"("prompt":"hi")";
  const std::string body = R"({"model":"m",)" + prompt + (fields.empty() ? "" : "," + fields) + "}";
  protocol::JsonParser parser;
  const auto request = protocol::read_openai_request(call, parser, body);
  EXPECT_TRUE(request) << body;
  return plan_audit(*request, body, protocol::dialect(engine), defaults, {.top_logprobs = 20});
}

std::optional<Skip> skip(const std::string& fields) {
  const auto planned = plan(fields);
  return planned ? std::nullopt : std::optional(planned.error());
}

std::string added(const AuditPlan& plan, std::string_view name) {
  const auto edit = std::ranges::find(plan.edits, name, &protocol::JsonEdit::name);
  return edit == plan.edits.end() ? "" : edit->value.value();
}

TEST(Plan, AsksForWhatTheClientDidNotAndHidesIt) {
  const auto chat = plan("");
  ASSERT_TRUE(chat);
  EXPECT_EQ(added(*chat, "logprobs"), "true");
  EXPECT_EQ(added(*chat, "top_logprobs"), "20");
  EXPECT_EQ(added(*chat, "audit"), "\"full\"");
  EXPECT_TRUE(chat->unasked.logprobs && chat->unasked.audit && chat->unasked.records_alone);
  const auto text = plan("", EngineKind::llama_cpp, kKnown, OpenAiCall::completions);
  ASSERT_TRUE(text);
  EXPECT_EQ(added(*text, "logprobs"), "20");
  EXPECT_EQ(text->edits.size(), 1u);
  EXPECT_EQ(text->unasked.shown, protocol::UnaskedLogprobs::null_value);
  EXPECT_EQ(plan("", EngineKind::llama_cpp)->unasked.shown, protocol::UnaskedLogprobs::absent);
}

TEST(Plan, LeavesWhatTheClientAskedForAlone) {
  const auto asked = plan(R"("logprobs":true,"top_logprobs":3)");
  ASSERT_TRUE(asked);
  EXPECT_FALSE(asked->unasked.logprobs);
  EXPECT_EQ(added(*asked, "top_logprobs"), "");
  EXPECT_EQ(added(*asked, "audit"), "\"full\"");
  EXPECT_EQ(plan(R"("logprobs":true)").error(), Skip::few_logprobs);
  EXPECT_EQ(plan(R"("top_logprobs":3)").error(), Skip::few_logprobs)
      << "the server's 400 is the client's to have";
  EXPECT_TRUE(plan(R"("logprobs":false)"));
}

TEST(Plan, WhatIsNotModelledIsNotLookedAt) {
  for (const char* fields :
       {R"("presence_penalty":0.5)", R"("logit_bias":{"5":1})", R"("tools":[{"type":"function"}])",
        R"("response_format":{"type":"json_object"})", R"("repetition_penalty":1.1)", R"("grammar":"x")",
        R"("ignore_eos":true)", R"("temperature":"0.7")", R"("temperature":-1)", R"("temperature":0.001)",
        R"("top_p":0)", R"("min_p":2)"})
    EXPECT_EQ(skip(fields), Skip::parameters) << fields;
  for (const char* fields :
       {R"("presence_penalty":0)", R"("logit_bias":{})", R"("tools":[])", R"("tools":null)",
        R"("response_format":{"type":"text"})", R"("user":"u","metadata":{"a":"b"})"})
    EXPECT_TRUE(plan(fields)) << fields;
  EXPECT_EQ(plan(R"("n":2)").error(), Skip::several_answers);
}

TEST(Plan, AStatedSeedMayRepeatButGreedyDrawsNothing) {
  EXPECT_EQ(plan(R"("seed":7)").error(), Skip::shared_seed);
  EXPECT_TRUE(plan(R"("seed":7,"temperature":0)"));
  EXPECT_TRUE(plan(R"("seed":-1)")) << "llama.cpp's word for none";
}

TEST(Plan, ParametersAreTheRequestsElseTheDefaultsElseUnknown) {
  const Defaults server{.temperature = 0.8, .top_p = 0.95, .min_p = 0.05, .top_k = 40};
  const auto stated =
      plan(R"("temperature":0.7,"top_p":0.9,"top_k":-1,"min_p":0)", EngineKind::llama_cpp, server);
  EXPECT_EQ(stated->sampling.temperature, 0.7);
  EXPECT_EQ(stated->sampling.top_k, 0u);
  const auto silent = plan("", EngineKind::llama_cpp, server);
  EXPECT_EQ(silent->sampling.temperature, 0.8);
  EXPECT_EQ(silent->sampling.top_k, 40u);
  EXPECT_TRUE(silent->sampling.filters_known);
  EXPECT_EQ(plan("", EngineKind::vllm, {}).error(), Skip::temperature_unknown);
  EXPECT_FALSE(plan(R"("temperature":1)", EngineKind::vllm, {})->sampling.filters_known);
  Defaults no_longer_plain = server;
  no_longer_plain.plain = false;
  EXPECT_EQ(plan("", EngineKind::llama_cpp, no_longer_plain).error(), Skip::parameters);
  fleet::SamplingDefaults configured;
  configured.temperature = configured.top_p = 1;
  const Defaults merged = defaults_of(configured, server);
  EXPECT_EQ(merged, (Defaults{.temperature = 1, .top_p = 1, .min_p = 0.05, .top_k = 40}));
}

TEST(Plan, EnginesWithoutAMeaningAndOlderListsAreNotLookedAt) {
  EXPECT_EQ(plan("", EngineKind::openai).error(), Skip::dialect);
  EXPECT_EQ(plan("", EngineKind::vllm, kKnown, OpenAiCall::completions).error(), Skip::older_lists);
  EXPECT_TRUE(plan("", EngineKind::vllm));
}

// protocol declares dialects for people and requests, evidence for its bounds; neither layer knows the other.
TEST(Dialects, AreDeclaredAlikeInBothLayers) {
  using protocol::SamplingStep;
  const std::map<SamplingStep, evidence::Step> steps = {
      {SamplingStep::temperature, evidence::Step::temperature},
      {SamplingStep::top_k, evidence::Step::top_k},
      {SamplingStep::top_p, evidence::Step::top_p},
      {SamplingStep::min_p, evidence::Step::min_p}};
  const std::map<protocol::LogprobMeaning, evidence::LogprobKind> kinds = {
      {protocol::LogprobMeaning::raw, evidence::LogprobKind::raw},
      {protocol::LogprobMeaning::after_temperature, evidence::LogprobKind::tempered}};
  std::size_t known = 0;
  for (const auto& dialect : protocol::dialects()) {
    const auto shipped = evidence::shipped(to_string(dialect.engine));
    EXPECT_EQ(shipped.has_value(), !dialect.order.empty()) << to_string(dialect.engine);
    if (!shipped) continue;
    ++known;
    std::vector<evidence::Step> order;
    for (const SamplingStep step : dialect.order)
      if (const auto found = steps.find(step); found != steps.end()) order.push_back(found->second);
    EXPECT_TRUE(std::ranges::equal(order, shipped->conduct.order)) << to_string(dialect.engine);
    EXPECT_EQ(kinds.at(dialect.logprobs), shipped->conduct.logprobs) << to_string(dialect.engine);
  }
  EXPECT_EQ(known, evidence::shipped_dialects().size());
}

}  // namespace
}  // namespace truekeel::sentinel
