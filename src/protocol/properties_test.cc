// SPDX-License-Identifier: Apache-2.0
#include "protocol/properties.h"

#include <gtest/gtest.h>

#include <string>

namespace truekeel::protocol {
namespace {

// llama-server 0.5.0, shortened.
const std::string kProps =
    R"({"default_generation_settings":{"params":{"seed":4294967295,"temperature":0.800000011920929,"dynatemp_range":0.0,)"
    R"("top_k":40,"top_p":0.949999988079071,"min_p":0.05000000074505806,"top_n_sigma":-1.0,"xtc_probability":0.0,)"
    R"("typical_p":1.0,"repeat_last_n":64,"repeat_penalty":1.0,"presence_penalty":0.0,"dry_multiplier":0.0,"mirostat":0,)"
    R"("samplers":["penalties","dry","top_n_sigma","top_k","typ_p","top_p","min_p","xtc","temperature"]},"n_ctx":1024},"total_slots":2})";

std::string with(std::string_view old, std::string_view now) {
  std::string text = kProps;
  return text.replace(text.find(old), old.size(), now);
}

TEST(LlamaProperties, TellTheDefaults) {
  const auto properties = read_llama_properties(kProps);
  ASSERT_TRUE(properties);
  EXPECT_NEAR(properties->temperature.value(), 0.8, 1e-6);
  EXPECT_EQ(properties->top_k, 40);
  EXPECT_NEAR(properties->min_p.value(), 0.05, 1e-6);
  EXPECT_TRUE(properties->plain);
  EXPECT_EQ(read_llama_properties(with("\"top_k\":40", "\"top_k\":1e300"))->top_k, 2'147'483'647);
}

TEST(LlamaProperties, WhatElseTouchesTheDistributionIsNotPlain) {
  EXPECT_FALSE(read_llama_properties(with("\"repeat_penalty\":1.0", "\"repeat_penalty\":1.1"))->plain);
  EXPECT_FALSE(read_llama_properties(with("\"mirostat\":0", "\"mirostat\":2"))->plain);
  EXPECT_FALSE(read_llama_properties(with("\"xtc\",\"temperature\"", "\"xtc\""))->plain);
  EXPECT_FALSE(read_llama_properties(with("\"top_k\",\"typ_p\"", "\"typ_p\""))->plain);
}

TEST(LlamaProperties, OtherAnswersAreRefused) {
  for (const char* text : {"", "[]", "{}", R"({"default_generation_settings":5})",
                           R"({"default_generation_settings":{"params":[]}})", "<html>"})
    EXPECT_FALSE(read_llama_properties(text)) << text;
}

}  // namespace
}  // namespace truekeel::protocol
