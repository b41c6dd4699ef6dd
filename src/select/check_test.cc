// SPDX-License-Identifier: Apache-2.0
#include "select/check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "select/weight.h"

namespace truekeel::select {
namespace {

Fault fault_of(const Params& params, std::uint32_t vocabulary = 100) {
  const auto failure = check(params, vocabulary);
  return failure ? failure->fault : Fault{};
}

TEST(Check, NumbersStayInTheirRanges) {
  EXPECT_EQ(fault_of({}), Fault{});
  for (const float bad : {-1.0f, NAN, INFINITY, 0x1p-65f, 0x1p65f})
    EXPECT_EQ(fault_of({.temperature = bad}), Fault::bad_temperature) << bad;
  for (const double bad : {-0.1, 1.1, std::nan("")}) {
    EXPECT_EQ(fault_of({.top_p = bad}), Fault::bad_top_p);
    EXPECT_EQ(fault_of({.min_p = bad}), Fault::bad_min_p);
  }
  EXPECT_EQ(fault_of({.repetition = 0}), Fault::bad_penalty);
  EXPECT_EQ(fault_of({.frequency = NAN}), Fault::bad_penalty);
  EXPECT_EQ(fault_of({.presence = INFINITY}), Fault::bad_penalty);
  EXPECT_EQ(fault_of({}, 0), Fault::bad_vocabulary);
  EXPECT_EQ(fault_of({}, kVocabularyMax + 1), Fault::bad_vocabulary);
}

TEST(Check, ListsNameTheirBadId) {
  const std::vector<TokenCount> unsorted = {{4, 1, 1}, {4, 1, 1}}, beyond = {{100, 1, 1}};
  EXPECT_EQ(check({.counts = unsorted}, 100), (Failure{Fault::ids_not_ascending, 0, 4}));
  EXPECT_EQ(check({.counts = beyond}, 100), (Failure{Fault::id_out_of_range, 0, 100}));
  const std::vector<TokenBias> endless = {{7, INFINITY}};
  EXPECT_EQ(check({.bias = endless}, 100), (Failure{Fault::bad_bias, 0, 7}));
  const std::vector<std::uint64_t> mask(1);
  EXPECT_EQ(fault_of({.allowed = mask}), Fault::mask_too_short);
  EXPECT_EQ(fault_of({.allowed = mask}, 64), Fault{});
}

TEST(Check, AParameterNeedsItsOperation) {
  const Chain none = Chain::parse("").value();
  EXPECT_EQ(fault_of({.chain = none}), Fault{});
  EXPECT_EQ(fault_of({.chain = none, .temperature = 0.5f}), Fault::operation_missing);
  EXPECT_EQ(fault_of({.chain = none, .top_k = 1}), Fault::operation_missing);
  EXPECT_EQ(fault_of({.chain = none, .repetition = 1.1f}), Fault::operation_missing);
}

}  // namespace
}  // namespace truekeel::select
