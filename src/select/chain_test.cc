// SPDX-License-Identifier: Apache-2.0
#include "select/chain.h"

#include <gtest/gtest.h>

namespace truekeel::select {
namespace {

TEST(Chain, ReadsNamesAndOrders) {
  EXPECT_EQ(Chain::parse("standard").value(), Chain());
  EXPECT_EQ(Chain::parse("llama.cpp").value(), Chain::llama_cpp());
  for (const Chain& chain : {Chain(), Chain::llama_cpp(), Chain::vllm(), Chain::hf()})
    EXPECT_EQ(Chain::parse(chain.to_string()).value(), chain);
  EXPECT_EQ(Chain::parse("").value().to_string(), "");
  EXPECT_FALSE(Chain::parse("top_k").value().has(Op::temperature));
}

TEST(Chain, RefusesWhatCannotBe) {
  EXPECT_NE(Chain::parse("top-k").error().message.find("unknown operation 'top-k'"), std::string::npos);
  EXPECT_NE(Chain::parse("top_k,top_k").error().message.find("twice"), std::string::npos);
  EXPECT_NE(Chain::parse("temperature,bias").error().message.find("must stand before"), std::string::npos);
  EXPECT_FALSE(Chain::parse("top_k,,top_p"));
  EXPECT_FALSE(Chain::parse("bias,penalties,mask,temperature,top_k,top_p,min_p,top_k,top_k"));
}

}  // namespace
}  // namespace truekeel::select
