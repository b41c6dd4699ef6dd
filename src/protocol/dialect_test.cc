// SPDX-License-Identifier: Apache-2.0
#include "protocol/dialect.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "protocol/openai_request.h"

namespace truekeel::protocol {
namespace {

TEST(Dialect, EveryEngineHasOne) {
  EXPECT_EQ(dialects().size(), kEngineKinds.size());
  for (const auto kind : kEngineKinds) EXPECT_EQ(dialect(kind).engine, kind);
}

TEST(Dialect, StatementsAgreeWithEachOther) {
  for (const auto& d : dialects()) {
    SCOPED_TRACE(to_string(d.engine));
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
  const auto before = [](EngineKind engine, SamplingStep a, SamplingStep b) {
    const auto order = dialect(engine).order;
    return std::ranges::find(order, a) < std::ranges::find(order, b);
  };
  // An audit that assumes the other order called 3.9 % of a clean server's tokens impossible.
  EXPECT_TRUE(before(EngineKind::llama_cpp, SamplingStep::top_p, SamplingStep::temperature));
  EXPECT_TRUE(before(EngineKind::vllm, SamplingStep::temperature, SamplingStep::top_p));
  EXPECT_TRUE(before(EngineKind::truekeel, SamplingStep::temperature, SamplingStep::top_k));
}

}  // namespace
}  // namespace truekeel::protocol
