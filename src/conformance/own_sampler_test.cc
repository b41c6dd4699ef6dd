// SPDX-License-Identifier: Apache-2.0
#include "conformance/own_sampler.h"

#include <gtest/gtest.h>

#include "conformance/kit.h"

namespace truekeel::conformance {
namespace {

TEST(OwnSampler, ConformsInEveryDtype) {
  for (const Dtype dtype : {Dtype::fp32, Dtype::fp16, Dtype::bf16}) {
    OwnSampler sampler(dtype);
    const Report report = run(sampler, {.draws = 2000});
    EXPECT_GT(report.outcomes.size(), 100U);
    for (const Outcome& outcome : report.outcomes)
      EXPECT_TRUE(outcome.status == Status::passed || outcome.status == Status::observed)
          << "dtype " << static_cast<int>(dtype) << ": " << outcome.name << ": " << outcome.seen.what;
  }
}

}  // namespace
}  // namespace truekeel::conformance
