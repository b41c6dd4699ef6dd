// SPDX-License-Identifier: Apache-2.0
#include "conformance/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "conformance/clean_sampler.h"

namespace truekeel::conformance {
namespace {

using testing::HasSubstr;

/// Draws the last token instead of the first.
struct Wrong : CleanSampler {
  Wrong() { semantics_.edges.erase(Edge::top_p_above_one); }
  TokenId pick(const Prepared& row, const Call& call, std::size_t slot, std::uint64_t step) const override {
    const TokenId token = CleanSampler::pick(row, call, slot, step);
    return token == 0 ? row.ids.back() : token;
  }
};

Report report_of_wrong() {
  Wrong sampler;
  return run(sampler, {.draws = 1000, .only = "top-p"});
}

TEST(TextReport, ShowsFailuresWithTheirExampleAndEndsWithAJudgement) {
  const Report report = report_of_wrong();
  ASSERT_FALSE(report.conforms());
  const std::string text = text_report(report);
  EXPECT_THAT(text, HasSubstr("FAILED enumeration/top-p-boundary"));
  EXPECT_THAT(text, HasSubstr("row 0 {\"logits\":["));
  EXPECT_THAT(text, HasSubstr("Left open by the declared semantics:\n  edge/top-p-1.5"));
  EXPECT_THAT(text, HasSubstr("err with probability 1e-06 in all"));
  EXPECT_THAT(text, testing::EndsWith("checks failed.\n"));
}

TEST(JsonReport, HoldsEveryCheckWithItsPower) {
  const auto json = nlohmann::json::parse(json_report(report_of_wrong()));
  EXPECT_EQ(json["conforms"], false);
  EXPECT_EQ(json["checks"].size(),
            json["passed"].get<int>() + json["failed"].get<int>() + json["observed"].get<int>());
  for (const auto& check : json["checks"]) {
    if (check["status"] == "failed") EXPECT_FALSE(check["example"].empty()) << check["name"];
    if (check["name"] == "distribution/top-k-top-p") EXPECT_GT(check["power"][0]["share"], 0);
  }
}

TEST(JunitReport, CountsWhatItLists) {
  const Report report = report_of_wrong();
  const std::string xml = junit_report(report);
  const auto count = [&](const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = xml.find(part); at != std::string::npos; at = xml.find(part, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("<testcase "), report.outcomes.size());
  EXPECT_EQ(count("<failure "), report.count(Status::failed));
  EXPECT_EQ(count("<skipped "), 1U);
  EXPECT_THAT(xml, HasSubstr("&quot;logits&quot;"));
}

}  // namespace
}  // namespace truekeel::conformance
