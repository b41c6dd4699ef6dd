// SPDX-License-Identifier: Apache-2.0
#include "verify/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "verify/page.h"
#include "verify/prompts.h"

namespace truekeel::verify {
namespace {

Report report_of(Verdict audit, Verdict comparison) {
  Report report;
  report.target.url = "http://target";
  report.target.can.emplace();
  report.target.can->table.push_back({"logprobs", Has::yes, "top <20> & \"more\""});
  report.reference = report.target;
  report.audit.verdict = audit;
  report.comparison.verdict = comparison;
  report.comparison.points = {{.stratum = Stratum::long_prompts,
                               .tokens = 900,
                               .between = 0.3,
                               .within_target = 0.1,
                               .within_reference = 0}};
  return report;
}

TEST(Report, IsAsBadAsItsWorstPart) {
  using enum Verdict;
  EXPECT_EQ(report_of(fine, fine).verdict(), fine);
  EXPECT_EQ(report_of(fine, not_asked).verdict(), fine);
  EXPECT_EQ(report_of(undecided, fine).verdict(), undecided);
  EXPECT_EQ(report_of(undecided, failed).verdict(), failed);
  EXPECT_EQ(report_of(undecided, bad).verdict(), bad);
  EXPECT_EQ(report_of(bad, failed).verdict(), bad);
}

TEST(Report, HasAHeadlineForEveryPairOfVerdicts) {
  using enum Verdict;
  for (const auto audit : {fine, bad, undecided, failed, not_asked})
    for (const auto comparison : {fine, bad, undecided, failed, not_asked})
      EXPECT_FALSE(headline(report_of(audit, comparison)).empty());
}

TEST(Report, AsJsonIsOneObjectWithTheNumbers) {
  const auto json = nlohmann::json::parse(to_json(report_of(Verdict::fine, Verdict::bad)));
  EXPECT_EQ(json["verdict"], "bad");
  EXPECT_EQ(json["target"]["capabilities"][0]["has"], "yes");
  EXPECT_EQ(json["comparison"]["points"][0]["tokens"], 900);
  EXPECT_EQ(json["comparison"]["strata"].size(), kStrata);
  EXPECT_TRUE(json["sampler"]["alternative"].is_null());
}

TEST(Report, AsTextNamesTheVerdictOfEveryPart) {
  const auto text = to_text(report_of(Verdict::undecided, Verdict::bad));
  EXPECT_NE(text.find("sampler     undecided"), std::string::npos) << text;
  EXPECT_NE(text.find("reference   bad"), std::string::npos) << text;
}

TEST(Report, AsAPageNeedsNothingElseAndEscapesWhatServersWrote) {
  const auto page = to_html(report_of(Verdict::fine, Verdict::bad));
  EXPECT_NE(page.find("top &lt;20&gt; &amp; &quot;more&quot;"), std::string::npos);
  EXPECT_EQ(page.find("top <20>"), std::string::npos);
  for (const char* const foreign : {"<script", "src=", "<link", "@import", "url("})
    EXPECT_EQ(page.find(foreign), std::string::npos) << foreign;
  EXPECT_NE(page.find("<svg"), std::string::npos);
  EXPECT_NE(page.find("0.3000"), std::string::npos) << "every context stands in the table";
  const auto without = to_html({});
  EXPECT_NE(without.find("</html>"), std::string::npos);
}

TEST(Prompts, AreAlikeForASeedAndNeverTwiceInARun) {
  std::set<std::string> seen;
  for (std::uint64_t i = 0; i < 500; ++i) {
    EXPECT_TRUE(seen.insert(short_prompt(1, i)).second) << i;
    EXPECT_EQ(short_prompt(1, i), short_prompt(1, i));
    EXPECT_NE(short_prompt(1, i), short_prompt(2, i));
  }
  EXPECT_NE(long_prompt(1, 0, 100), long_prompt(1, 1, 100));
  EXPECT_NE(prose(1, 0, 100), prose(2, 0, 100));
}

TEST(Prompts, AreAboutAsLongAsAsked) {
  for (const std::size_t words : {200u, 650u, 2600u}) {
    const auto text = long_prompt(3, 1, words);
    const auto blanks = static_cast<std::size_t>(std::ranges::count(text, ' '));
    EXPECT_GT(blanks, words);
    EXPECT_LT(blanks, 2 * words);
  }
}

}  // namespace
}  // namespace truekeel::verify
