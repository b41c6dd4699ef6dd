// SPDX-License-Identifier: Apache-2.0
#include "conformance/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace truekeel::conformance {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(Wire, SemanticsSurviveTheTrip) {
  Semantics semantics;
  semantics.name = "foreign";
  semantics.version = "1.2";
  semantics.chain = {Step::top_k, Step::temperature};
  semantics.top_k_ties = Ties::keep_all;
  semantics.top_p_rule = TopPRule::exceeds;
  semantics.seeding = Seeding::stream;
  semantics.injects = true;
  semantics.resolution = 1e-7;
  semantics.dtype = Dtype::bf16;
  semantics.batch_max = 8;
  semantics.targets = {"avx2", "scalar"};
  semantics.edges = {{Edge::nan_logit, EdgeRule::refused}, {Edge::top_p_zero, EdgeRule::greedy}};
  const auto back = read_semantics("{\"semantics\":" + semantics_json(semantics) + "}");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, semantics);
}

TEST(Wire, WhatSemanticsLeaveOutHasDefaults) {
  const auto semantics = read_semantics(R"({"semantics":{"name":"plain"}})");
  ASSERT_TRUE(semantics);
  EXPECT_EQ(semantics->seeding, Seeding::none);
  EXPECT_EQ(semantics->batch_max, 1U);
  EXPECT_EQ(semantics->at(Edge::nan_logit), EdgeRule::undefined);
}

TEST(Wire, NamesTheFieldThatIsWrong) {
  const auto message = [](const char* line) { return read_semantics(line).error().message; };
  EXPECT_THAT(message("nonsense"), HasSubstr("not a JSON object"));
  EXPECT_THAT(message("{}"), HasSubstr("semantics"));
  EXPECT_THAT(message(R"({"semantics":{}})"), HasSubstr("name"));
  EXPECT_THAT(message(R"({"semantics":{"name":"x","top_k_ties":"some"}})"),
              HasSubstr("\"some\" is none of by_id"));
  EXPECT_THAT(message(R"({"semantics":{"name":"x","batch_max":-1}})"), HasSubstr("batch_max"));
  EXPECT_THAT(message(R"({"semantics":{"name":"x","chain":[1]}})"), HasSubstr("chain"));
  EXPECT_THAT(message(R"({"semantics":{"name":"x","edges":{"nan_logit":"maybe"}}})"), HasSubstr("maybe"));
}

TEST(Wire, ReadsAChainByName) {
  EXPECT_EQ(read_chain("top_k,temperature"), (std::vector{Step::top_k, Step::temperature}));
  EXPECT_THAT(read_chain("top_k,,temperature").error().message, HasSubstr("\"\" is none of bias"));
}

TEST(Wire, CallsKeepWhatJsonNumbersWouldLose) {
  Row row{.logits = {std::numeric_limits<float>::quiet_NaN(), -INFINITY, 0.1F, -0.F},
          .seed = ~0ULL,
          .position = 1ULL << 60};
  row.params.top_k = 0;
  row.params.temperature = 1e-40F;
  const Call call{.rows = {row}, .steps = 2, .uniforms = {~0ULL, 0}, .shards = {4, 0}};
  const json line = json::parse(call_line(call, 7));
  EXPECT_EQ(line["id"], 7);
  EXPECT_EQ(line["uniforms"][0], "18446744073709551615");
  const json& sent = line["rows"][0];
  EXPECT_EQ(sent["logits"][0], "nan");
  EXPECT_EQ(sent["logits"][1], "-inf");
  EXPECT_EQ(static_cast<float>(sent["logits"][2].get<double>()), 0.1F);
  EXPECT_TRUE(std::signbit(sent["logits"][3].get<double>()));
  EXPECT_EQ(static_cast<float>(sent["temperature"].get<double>()), 1e-40F);
  EXPECT_EQ(sent["top_k"], 0);
  EXPECT_EQ(sent["seed"], "18446744073709551615");
  EXPECT_FALSE(sent.contains("top_p"));
}

TEST(Wire, ReadsTokensAndRefusals) {
  const Call call{.rows = {Row{}, Row{}}, .steps = 2};
  const auto draws = read_draws(R"({"id":3,"tokens":[[1,"a logit is NaN"],[-5,0]]})", call, 3);
  ASSERT_TRUE(draws) << draws.error().message;
  ASSERT_EQ(draws->size(), 4U);
  EXPECT_EQ((*draws)[0], Draw(1));
  EXPECT_EQ((*draws)[1].error(), "a logit is NaN");
  EXPECT_EQ((*draws)[2], Draw(-5)) << "out of the vocabulary is the kit's to judge";
}

TEST(Wire, RefusesAnswersThatDoNotFitTheCall) {
  const Call call{.rows = {Row{}}, .steps = 1};
  for (const char* line :
       {R"({"id":4,"tokens":[[1]]})", R"({"id":3})", R"({"id":3,"tokens":[]})", R"({"id":3,"tokens":[[]]})",
        R"({"id":3,"tokens":[[1.5]]})", R"({"id":3,"tokens":[[9999999999]]})", R"({"id":3,"tokens":[1]})"})
    EXPECT_EQ(read_draws(line, call, 3).error().code, ErrorCode::invalid_argument) << line;
  EXPECT_EQ(read_draws(R"({"id":3,"error":"out of memory"})", call, 3).error().message, "out of memory");
}

}  // namespace
}  // namespace truekeel::conformance
