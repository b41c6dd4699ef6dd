// SPDX-License-Identifier: Apache-2.0
#include "protocol/dialect.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "protocol/openai_request.h"

namespace truekeel::protocol {
namespace {

TEST(Dialect, EveryEngineHasOneUnderItsName) {
  std::set<std::string_view> names;
  for (const auto& d : dialects()) {
    EXPECT_EQ(engine_named(d.name), d.engine);
    EXPECT_EQ(&dialect(d.engine), &d);
    names.insert(d.name);
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"truekeel", "llama.cpp", "vllm", "sglang", "openai"}));
}

TEST(Dialect, AnUnknownNameTellsTheKnownOnes) {
  const auto engine = engine_named("ollama");
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, ErrorCode::not_found);
  EXPECT_NE(engine.error().message.find("llama.cpp"), std::string::npos);
}

TEST(Dialect, StatementsAgreeWithEachOther) {
  for (const auto& d : dialects()) {
    SCOPED_TRACE(d.name);
    EXPECT_EQ(d.count == TokenCount::none, d.count_path.empty());
    EXPECT_EQ(d.can_score, !d.score_path.empty());
    EXPECT_TRUE(!d.can_replay || (d.can_seed && d.can_token_ids && d.missing == MissingRecords::none));
    EXPECT_TRUE(d.token_ids_field.empty() || d.can_token_ids);
    EXPECT_TRUE(std::ranges::find(kMaxOutputFields, d.chat_limit_field) != kMaxOutputFields.end());
    for (const auto path :
         {d.health_path, d.properties_path, d.count_path, d.score_path, d.fingerprint_path}) {
      EXPECT_TRUE(path.empty() || path.starts_with('/')) << path;
    }
    const std::set<SamplingStep> steps(d.order.begin(), d.order.end());
    EXPECT_EQ(steps.size(), d.order.size()) << "a step is taken twice";
    EXPECT_TRUE(steps.empty() || steps.size() == 6);
  }
}

TEST(Dialect, TemperatureComesWhereItWasMeasured) {
  const auto before = [](Engine engine, SamplingStep a, SamplingStep b) {
    const auto order = dialect(engine).order;
    return std::ranges::find(order, a) < std::ranges::find(order, b);
  };
  // An audit that assumes the other order called 3.9 % of a clean server's tokens impossible.
  EXPECT_TRUE(before(Engine::llama_cpp, SamplingStep::top_p, SamplingStep::temperature));
  EXPECT_TRUE(before(Engine::vllm, SamplingStep::temperature, SamplingStep::top_p));
  EXPECT_TRUE(before(Engine::truekeel, SamplingStep::temperature, SamplingStep::top_k));
}

}  // namespace
}  // namespace truekeel::protocol
