// SPDX-License-Identifier: Apache-2.0
// What the kit finds on llama.cpp's chain, pinned: when this turns red after an update of llama.cpp, its
// behaviour has changed; look, and correct docs/conformance.md.
#include "samplers/llama_chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conformance/kit.h"

namespace truekeel::samplers {
namespace {

using namespace conformance;

std::vector<std::string> failures(const Report& report) {
  std::vector<std::string> names;
  for (const Outcome& outcome : report.outcomes)
    if (outcome.status == Status::failed) names.push_back(outcome.name);
  return names;
}

TEST(LlamaChain, DrawsAsDeclared) {
  LlamaChain chain;
  for (const char* only : {"distribution/top", "distribution/p", "independence/", "law/"}) {
    const Report report = run(chain, {.draws = 5000, .only = only});
    EXPECT_FALSE(report.outcomes.empty()) << only;
    EXPECT_THAT(failures(report), testing::IsEmpty());
  }
}

TEST(LlamaChain, DrawsAsDeclaredInAnotherOrder) {
  LlamaChain chain({Step::temperature, Step::top_p, Step::top_k});
  EXPECT_THAT(failures(run(chain, {.draws = 5000, .only = "distribution/temperature"})), testing::IsEmpty());
}

TEST(LlamaChain, ChecksFailWhenTheDeclaredOrderIsNotTheOneApplied) {
  /// Applies temperature last, declares it first.
  struct Misdeclared : Sampler {
    LlamaChain chain;
    Semantics declared = chain.semantics();
    Misdeclared() { declared.chain = {Step::temperature, Step::top_k, Step::top_p, Step::min_p}; }
    const Semantics& semantics() const override { return declared; }
    Result<std::vector<Draw>> draw(const Call& call) override { return chain.draw(call); }
  } misdeclared;
  EXPECT_THAT(failures(run(misdeclared, {.draws = 5000, .only = "distribution/temperature-top-p"})),
              testing::ElementsAre("distribution/temperature-top-p"));
}

TEST(LlamaChain, ATemperatureBelowFloatsDrawsAnArbitraryToken) {
  LlamaChain chain;
  EXPECT_THAT(failures(run(chain, {.draws = 1000, .only = "edge/"})),
              testing::ElementsAre("edge/temperature-1e-40"));
}

TEST(LlamaChain, DrawsATokenFromRowsThatHaveNoDistribution) {
  LlamaChain chain;
  for (const Outcome& outcome : run(chain, {.only = "edge/nan"}).outcomes) {
    EXPECT_EQ(outcome.status, Status::observed);
    EXPECT_THAT(outcome.seen.what, testing::HasSubstr("token")) << "NaN is refused since when?";
  }
}

}  // namespace
}  // namespace truekeel::samplers
