// SPDX-License-Identifier: Apache-2.0
#include "fleet/explain.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fleet/test_config.h"

namespace truekeel::fleet {
namespace {

using nlohmann::json;

class ExplainTest : public testing::Test {
 protected:
  ExplainTest() {
    for (const auto id : fleet_.endpoints()) fleet_.on_probe(id, ProbeResult::token, now_);
  }

  json explain(TokenRange prompt, std::string_view fingerprint = "") const {
    const auto plan = without_count(plan_context(config_->models[0], prompt, std::nullopt));
    const auto decision = fleet_.route(plan, {42, AffinitySource::session_header}, now_);
    return json::parse(explain_json(*decision, decision->order.front(), fingerprint));
  }

  Instant now_ = Instant{} + std::chrono::seconds(1);
  std::shared_ptr<const Config> config_ = std::make_shared<const Config>(test_config({"s1"}, {"l1"}));
  Fleet fleet_{config_, AffinitySecret("s"), now_};
};

TEST_F(ExplainTest, TellsTheWholeDecision) {
  EXPECT_EQ(explain(TokenRange::exactly(30), "fp-1"), json::parse(R"({
    "model": "m", "class": "short", "window": 2048, "pool": "short", "endpoint": "s1", "epoch": 0,
    "counted": "bound", "prompt_tokens": 30, "max_output": 512, "max_output_added": true,
    "affinity": "x-truekeel-session", "fingerprint": "fp-1"})"));
}

TEST_F(ExplainTest, ShowsBoundsOverflowAndLastResort) {
  const auto uncounted = explain({});
  EXPECT_EQ(uncounted["counted"], "uncounted");
  EXPECT_EQ(uncounted["prompt_tokens"], json::parse(R"({"min": 0, "max": null})"));
  fleet_.on_probe(0, ProbeResult::refused, now_);
  const auto overflowed = explain({5, 9});
  EXPECT_EQ(overflowed["pool"], "long");
  EXPECT_EQ(overflowed["overflow_from"], "short");
  EXPECT_EQ(overflowed["prompt_tokens"], json::parse(R"({"min": 5, "max": 9})"));
}

TEST_F(ExplainTest, ShowsWhatACallWaitedForAndWhoWasPassedOver) {
  const auto plan = plan_context(config_->models[0], TokenRange::exactly(3), 1);
  auto decision = *fleet_.route(plan, {}, now_);
  decision.passed_over = {1};
  decision.waited = std::chrono::microseconds(1500);
  const auto shown = json::parse(explain_json(decision, decision.order.front(), ""));
  EXPECT_EQ(shown["passed_over"], json::parse(R"(["l1"])"));
  EXPECT_EQ(shown["waited_ms"], 2);
}

TEST_F(ExplainTest, FitsIntoAHeader) {
  const auto plan = plan_context(config_->models[0], {}, 1);
  const auto decision = fleet_.route(without_count(plan), {}, now_);
  const auto text = explain_json(*decision, decision->order.front(), "\xff\n\u00e9");
  for (const char c : text) EXPECT_TRUE(c >= ' ' && c < 0x7f) << text;
}

TEST_F(ExplainTest, ShowsTheFleetWithoutSecrets) {
  ASSERT_TRUE(fleet_.begin(0));
  ASSERT_TRUE(fleet_.drain("s1"));
  const auto fleet = json::parse(fleet_json(fleet_, now_));
  EXPECT_EQ(fleet["models"][0]["classes"][1],
            json::parse(R"({"name": "long", "max_tokens": 32768, "pool": "long"})"));
  const auto& s1 = fleet["pools"][0]["endpoints"][0];
  EXPECT_EQ(s1["name"], "s1");
  EXPECT_EQ(s1["drained"], true);
  EXPECT_EQ(s1["in_flight"], 1);
  EXPECT_EQ(s1["state"], "ready");
  EXPECT_EQ(fleet["pools"][1]["epoch"], 0);
  EXPECT_EQ(fleet["pools"][0]["waiting"], 0);
  EXPECT_EQ(fleet["pools"][0]["load_bound"], 1.5);
}

}  // namespace
}  // namespace truekeel::fleet
