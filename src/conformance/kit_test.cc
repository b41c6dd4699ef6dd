// SPDX-License-Identifier: Apache-2.0
#include "conformance/kit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "conformance/clean_sampler.h"

namespace truekeel::conformance {
namespace {

TEST(Plan, AsksOnlyForWhatIsDeclared) {
  Semantics plain;
  plain.name = "plain";
  plain.chain = {Step::temperature};
  for (const Check& check : plan(plain)) {
    EXPECT_THAT(check.name, testing::Not(testing::HasSubstr("top-k"))) << "the chain lacks it";
    EXPECT_THAT(check.name, testing::Not(testing::StartsWith("batch/"))) << "one row at a time";
    EXPECT_THAT(check.name, testing::Not(testing::StartsWith("enumeration/"))) << "no injection";
  }
}

TEST(Plan, NamesAreUnique) {
  std::set<std::string> names;
  CleanSampler clean;
  for (const Check& check : plan(clean.semantics()))
    EXPECT_TRUE(names.insert(check.name).second) << check.name;
}

TEST(Run, SharesTheErrorBoundAmongTheStatisticalChecks) {
  CleanSampler clean;
  const Report report = run(clean, {.alpha = 1e-6, .draws = 100, .only = "distribution/"});
  EXPECT_DOUBLE_EQ(report.alpha_each * static_cast<double>(report.outcomes.size()), 1e-6);
}

TEST(Run, ACorrectSamplerPassesUnderEverySeed) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CleanSampler clean;
    // An error bound of a half: with a bound that were no bound, some of 20 runs of 25 tests would fail more.
    int failed = 0;
    for (const Outcome& outcome :
         run(clean, {.alpha = .5, .draws = 500, .seed = seed, .only = "distribution/t", .shrink = false})
             .outcomes)
      failed += outcome.status == Status::failed;
    EXPECT_LE(failed, 1) << "seed " << seed;
  }
}

TEST(Run, ASmallFaultIsFoundAtTheDeclaredPower) {
  // Token 0 gets a tenth more than its share of .3: the report says that 20,000 draws find it.
  struct Loaded : CleanSampler {
    TokenId pick(const Prepared& row, const Call& call, std::size_t slot, std::uint64_t step) const override {
      const std::uint64_t extra = philox_bits(*call.rows[slot].seed, call.rows[slot].position + step, 9);
      return extra % 70 < 3 ? row.ids.front() : CleanSampler::pick(row, call, slot, step);
    }
  } loaded;
  const Report report = run(loaded, {.only = "distribution/eight"});
  ASSERT_EQ(report.outcomes.size(), 1U);
  EXPECT_EQ(report.outcomes[0].status, Status::failed);
  EXPECT_LE(report.outcomes[0].example[0].logits.size(), 8U);
}

/// A sampler that breaks in the given way.
struct Broken : CleanSampler {
  explicit Broken(ErrorCode code) : code(code) {}
  Result<std::vector<Draw>> draw(const Call&) override { return fail(code, "gone"); }
  ErrorCode code;
};

TEST(Run, ABrokenSamplerFailsAndASlowOneIsUndecided) {
  Broken dead(ErrorCode::unavailable), slow(ErrorCode::timeout);
  EXPECT_EQ(run(dead, {.only = "law/repeat"}).count(Status::failed), 1U);
  EXPECT_EQ(run(slow, {.only = "law/repeat"}).count(Status::undecided), 1U);
}

TEST(Run, ATokenOutsideTheVocabularyFailsEveryCheck) {
  struct Outside : CleanSampler {
    TokenId pick(const Prepared&, const Call& call, std::size_t slot, std::uint64_t) const override {
      return static_cast<TokenId>(call.rows[slot].logits.size());
    }
  } outside;
  const Report report = run(outside, {.only = "law/repeat"});
  ASSERT_EQ(report.count(Status::failed), 1U);
  EXPECT_THAT(report.outcomes[0].seen.what, testing::HasSubstr("outside its vocabulary"));
}

TEST(Run, OpenEdgesAreObservedNotJudged) {
  struct Silent : CleanSampler {
    Silent() { semantics_.edges.clear(); }
  } silent;
  const Report report = run(silent, {.only = "edge/nan"});
  EXPECT_EQ(report.count(Status::observed), report.outcomes.size());
  EXPECT_TRUE(report.conforms());
  EXPECT_THAT(report.outcomes[0].seen.what, testing::HasSubstr("refused"));
}

}  // namespace
}  // namespace truekeel::conformance
