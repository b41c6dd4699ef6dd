// SPDX-License-Identifier: Apache-2.0
#include "samplers/own_sampler.h"

#include <gtest/gtest.h>

#include "conformance/kit.h"

namespace truekeel::samplers {
namespace {

using namespace conformance;

class OwnSamplerTest : public testing::TestWithParam<Dtype> {};

TEST_P(OwnSamplerTest, Conforms) {
  OwnSampler sampler(GetParam());
  const Report report = run(sampler, {.draws = 2000});
  EXPECT_GT(report.outcomes.size(), 100U);
  for (const Outcome& outcome : report.outcomes)
    EXPECT_TRUE(outcome.status == Status::passed || outcome.status == Status::observed)
        << outcome.name << ": " << outcome.seen.what;
}

INSTANTIATE_TEST_SUITE_P(Dtypes, OwnSamplerTest, testing::Values(Dtype::fp32, Dtype::fp16, Dtype::bf16));

}  // namespace
}  // namespace truekeel::samplers
