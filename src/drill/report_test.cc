// SPDX-License-Identifier: Apache-2.0
#include "drill/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

namespace truekeel::drill {
namespace {

using testing::HasSubstr;

Report good_report() {
  return {.drill = "corruption",
          .seed = 7,
          .rate = 0.008,
          .detected = true,
          .signal = "audit",
          .ttd_s = 12.34567,
          .tokens_to_detect = 1100,
          .requests_to_detect = 30,
          .culprit = "hardware b",
          .culprit_correct = true,
          .action = "drain s3, s4",
          .contained_s = 15.5,
          .requests_harmed_before = 9};
}

TEST(Report, HasTheFieldsThatItPromises) {
  std::vector<std::string> names;
  const auto json = nlohmann::ordered_json::parse(to_json(good_report()));
  for (const auto& [name, value] : json.items()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"drill", "seed", "rate", "detected", "signal", "ttd_s",
                                             "tokens_to_detect", "requests_to_detect", "culprit",
                                             "culprit_correct", "action", "contained_s", "verified", "ttr_s",
                                             "false_alarms", "requests_harmed_before",
                                             "requests_harmed_after", "requests_lost", "sessions_left"}));
  EXPECT_EQ(json["ttd_s"], 12.346);
  EXPECT_TRUE(json["verified"].is_null() && json["ttr_s"].is_null());
}

TEST(Report, SaysNullWhereThereIsNothing) {
  const auto json = nlohmann::json::parse(to_json({.drill = "topk"}));
  for (const auto* name : {"signal", "ttd_s", "tokens_to_detect", "culprit", "action", "contained_s"})
    EXPECT_TRUE(json[name].is_null()) << name;
  EXPECT_EQ(json["detected"], false);
}

TEST(Report, PassesOnlyWhenAllIsWell) {
  EXPECT_TRUE(good_report().passed());
  const std::vector<std::function<void(Report&)>> faults = {[](Report& report) { report.detected = false; },
                                                            [](Report& report) { report.culprit_correct = false; },
                                                            [](Report& report) { report.contained_s.reset(); },
                                                            [](Report& report) { report.false_alarms = 1; },
                                                            [](Report& report) { report.requests_lost = 1; },
                                                            [](Report& report) { report.sessions_left = 1; }};
  for (std::size_t i = 0; i < faults.size(); ++i) {
    auto report = good_report();
    faults[i](report);
    EXPECT_FALSE(report.passed()) << i;
    EXPECT_THAT(to_text(report, "tail:0.008", "hardware b"), HasSubstr("FAILED"));
  }
}

TEST(Report, ReadsWell) {
  const auto text = to_text(good_report(), "tail:0.008,ids=script", "hardware b");
  EXPECT_THAT(text, HasSubstr("PASSED: drill corruption, seed 7"));
  EXPECT_THAT(text, HasSubstr("tail:0.008,ids=script on hardware b"));
  EXPECT_THAT(text, HasSubstr("12.3 s by audit, 1100 tokens and 30 requests"));
  EXPECT_THAT(text, HasSubstr("hardware b, which is right"));
  EXPECT_THAT(to_text({.drill = "topk"}, "", ""), HasSubstr("none named\n"));
}

}  // namespace
}  // namespace truekeel::drill
