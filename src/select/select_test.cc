// SPDX-License-Identifier: Apache-2.0
#include "select/select.h"

#include <gtest/gtest.h>

#include "select/reference.h"
#include "select/test_rows.h"

namespace truekeel::select {
namespace {

/// One random case: the fast path against the reference, records included.
void compare_one(std::uint64_t seed, std::uint32_t size, const char* target) {
  PhiloxStream random(seed);
  const auto shape = static_cast<Shape>(random.below(kShapes));
  const auto dtype = static_cast<DType>(random.below(3));
  const OwnedRow row = make_row(random, shape, size, dtype);
  const OwnedParams owned = make_params(random, size);
  Workspace workspace(size);
  for (const std::uint64_t bits : {random.next(), std::uint64_t{0}, ~std::uint64_t{0}}) {
    FullRecord expected_full, full;
    const Outcome expected = reference_select(row.row(), owned.params, {bits}, &expected_full);
    const Outcome outcome = select(row.row(), owned.params, {bits}, workspace, &full);
    ASSERT_EQ(to_string(outcome), to_string(expected))
        << "seed " << seed << " size " << size << " shape " << static_cast<int>(shape) << " dtype "
        << static_cast<int>(dtype) << " on " << target << "\n"
        << describe(owned.params);
    if (outcome) ASSERT_EQ(full, expected_full) << "seed " << seed << " size " << size << " on " << target;
  }
}

TEST(Select, EqualsTheReferenceOnEveryTarget) {
  with_each_target([](const char* target) {
    for (std::uint64_t seed = 0; seed < 600 && !testing::Test::HasFatalFailure(); ++seed) {
      PhiloxStream sizes(seed, 1);
      const std::uint32_t bounds[] = {3, 40, 600, 5000};
      compare_one(seed, 1 + static_cast<std::uint32_t>(sizes.below(bounds[sizes.below(4)])), target);
    }
  });
}

TEST(Select, EqualsTheReferenceOnLongRows) {
  with_each_target([](const char* target) {
    for (std::uint64_t seed = 1000; seed < 1030 && !testing::Test::HasFatalFailure(); ++seed) {
      PhiloxStream sizes(seed, 1);
      compare_one(seed, 8000 + static_cast<std::uint32_t>(sizes.below(60000)), target);
    }
  });
}

TEST(Select, ABatchIsItsRows) {
  const std::uint32_t rows = 5, vocabulary = 300, stride = 320;
  PhiloxStream random(11);
  OwnedRow all = make_row(random, Shape::normal, rows * stride, DType::f32);
  all.wide[2 * stride + 7] = std::numeric_limits<float>::quiet_NaN();
  for (std::uint32_t row = 0; row < rows; ++row)  // the padding is never read
    for (std::uint32_t i = vocabulary; i < stride; ++i) all.wide[row * stride + i] = 1e30f;
  const Batch batch{all.wide.data(), DType::f32, rows, vocabulary, stride};
  std::vector<Params> params(rows);
  std::vector<Draw> draws;
  for (std::uint32_t row = 0; row < rows; ++row) {
    params[row].top_k = 1 + 10 * row;
    draws.push_back(Draw::at(row, 3));
  }
  Workspace workspace(vocabulary);
  std::vector<Outcome> out(rows);
  EXPECT_EQ(select_batch(batch, params, draws, workspace, out), 1u);
  for (std::uint32_t row = 0; row < rows; ++row) {
    auto alone = select(batch.row(row), params[row], draws[row], workspace);
    if (!alone) alone.error().row = row;
    EXPECT_EQ(to_string(out[row]), to_string(alone));
  }
  EXPECT_EQ(out[2].error(), (Failure{Fault::nan_logit, 2, 7}));
}

TEST(Select, RefusesABatchThatDoesNotFit) {
  Workspace workspace(8);
  const std::vector<float> values(16);
  const std::vector<Params> params(1);
  const std::vector<Draw> draws(2);
  std::vector<Outcome> out(2);
  const Batch narrow{values.data(), DType::f32, 2, 8, 4};
  EXPECT_EQ(select_batch(narrow, params, draws, workspace, out).error().fault, Fault::bad_batch);
  const Batch three{values.data(), DType::f32, 3, 4, 4};
  EXPECT_EQ(select_batch(three, params, draws, workspace, out).error().fault, Fault::bad_batch);
  EXPECT_EQ(select({values.data(), 9, DType::f32}, {}, {}, workspace).error().fault,
            Fault::workspace_too_small);
}

}  // namespace
}  // namespace truekeel::select
