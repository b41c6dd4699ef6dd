// SPDX-License-Identifier: Apache-2.0
// Laws that hold without any reference: what a change of the input must do to the output.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "select/reference.h"
#include "select/test_rows.h"
#include "select/weight.h"

namespace truekeel::select {
namespace {

Row row_of(const std::vector<float>& values) {
  return {values.data(), static_cast<std::uint32_t>(values.size()), DType::f32};
}

Outcome run(const std::vector<float>& values, const Params& params, std::uint64_t bits) {
  Workspace workspace(static_cast<std::uint32_t>(values.size()));
  return select(row_of(values), params, {bits}, workspace);
}

/// Logits that are multiples of 2^-10 below 32: sums with other such numbers are exact.
std::vector<float> coarse_row(PhiloxStream& random, std::uint32_t size) {
  std::vector<float> row(size);
  for (float& value : row) value = static_cast<float>(random.below(1 << 14)) * 0x1p-10f;
  return row;
}

Params params_of(std::uint64_t seed) {
  Params params;
  const float temperatures[] = {1, 0.6f, 2, 0};
  params.temperature = temperatures[seed % 4];
  if (seed % 3 == 1) params.top_k = 40;
  if (seed % 5 < 3) params.top_p = 0.9;
  if (seed % 7 == 0) params.min_p = 0.01;
  return params;
}

TEST(Laws, AnExactShiftOfAllLogitsChangesNothing) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    PhiloxStream random(seed, 21);
    auto row = coarse_row(random, 1 + static_cast<std::uint32_t>(random.below(9000)));
    const std::uint64_t bits = random.next();
    auto plain = run(row, params_of(seed), bits).value();
    const float shift =
        static_cast<float>(static_cast<std::int32_t>(random.below(1 << 15)) - (1 << 14)) * 0x1p-10f;
    for (float& value : row) value += shift;
    auto shifted = run(row, params_of(seed), bits).value();
    plain.key_margin = shifted.key_margin = 0;  // keys are of values, which did change
    ASSERT_EQ(to_string(shifted), to_string(plain)) << "seed " << seed << " shift " << shift;
  }
}

TEST(Laws, RenumberedTokensKeepTheirWeights) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    PhiloxStream random(seed, 22);
    const auto size = 2 + static_cast<std::uint32_t>(random.below(5000));
    // Distinct values: ties are cut by id, which renumbering changes.
    std::vector<float> row(size);
    for (std::uint32_t id = 0; id < size; ++id) row[id] = static_cast<float>(id) * 0x1p-9f;
    std::vector<std::uint32_t> order(size);
    std::iota(order.begin(), order.end(), 0u);
    for (std::uint32_t i = size - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
    std::vector<float> renumbered(size);
    for (std::uint32_t id = 0; id < size; ++id) renumbered[order[id]] = row[id];
    const Params params = params_of(seed);
    const Choice a = run(row, params, random.next()).value();
    const Choice b = run(renumbered, params, random.next()).value();
    ASSERT_EQ(a.kept_count, b.kept_count) << "seed " << seed;
    ASSERT_EQ(a.kept_weight, b.kept_weight) << "seed " << seed;
    if (params.temperature == 0) continue;
    const Scale scale = Scale::of(row.back(), params.temperature);
    ASSERT_EQ(a.end - a.begin, weight_of(row[a.id], scale)) << "seed " << seed;
    ASSERT_EQ(b.end - b.begin, weight_of(renumbered[b.id], scale)) << "seed " << seed;
    ASSERT_EQ(b.rank, static_cast<std::uint32_t>(
                          std::ranges::count_if(row, [&](float x) { return x > renumbered[b.id]; })));
  }
}

#if defined(__x86_64__)
/// Denormals are zero for this thread while it lives, as in programs built with -ffast-math.
class DenormalsAreZero {
 public:
  DenormalsAreZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  DenormalsAreZero(const DenormalsAreZero&) = delete;
  DenormalsAreZero& operator=(const DenormalsAreZero&) = delete;
  ~DenormalsAreZero() { _mm_setcsr(before_); }

 private:
  const unsigned before_;
};

TEST(Laws, TheCallersTreatmentOfDenormalsChangesNothing) {
  with_each_target([](const char* target) {
    for (std::uint64_t seed = 0; seed < 120; ++seed) {
      PhiloxStream random(seed, 23);
      const auto size = 1 + static_cast<std::uint32_t>(random.below(3000));
      const Shape shapes[] = {Shape::tiny, Shape::normal, Shape::flat};
      const OwnedRow row = make_row(random, shapes[seed % 3], size, DType::f32);
      const std::uint64_t bits = random.next();
      FullRecord expected_full, full;
      const Outcome expected = reference_select(row.row(), params_of(seed), {bits}, &expected_full);
      Workspace workspace(size);
      Outcome outcome;
      {
        const DenormalsAreZero scope;
        outcome = select(row.row(), params_of(seed), {bits}, workspace, &full);
      }
      ASSERT_EQ(to_string(outcome), to_string(expected)) << "seed " << seed << " on " << target;
      ASSERT_EQ(full, expected_full) << "seed " << seed << " on " << target;
    }
  });
}
#endif

}  // namespace
}  // namespace truekeel::select
