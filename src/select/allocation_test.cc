// SPDX-License-Identifier: Apache-2.0
// No selection allocates: counted by replacing the allocation functions of this program.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "select/test_rows.h"

namespace {

std::atomic<std::uint64_t> allocations = 0;

}  // namespace

void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
// NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDelete): it sees the memory as freed before it comes here.
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace truekeel::select {
namespace {

/// Allocations while f runs.
template <class F>
std::uint64_t counted(F&& f) {
  const std::uint64_t before = allocations;
  f();
  return allocations - before;
}

TEST(Allocation, SelectingAllocatesNothing) {
  constexpr std::uint64_t kSeed = 17;
  constexpr std::uint32_t kSize = 9000;  // long enough for every way of top-p
  PhiloxStream random(kSeed);
  Workspace workspace(kSize);
  int chosen = 0;
  for (int i = 0; i < 300; ++i) {
    const auto shape = static_cast<Shape>(i % kShapes);
    const OwnedRow row = make_row(random, shape, kSize, static_cast<DType>(i % 3));
    const OwnedParams owned = make_params(random, kSize);
    const Draw draw = Draw::at(kSeed, static_cast<std::uint64_t>(i));
    FullRecord full;
    const auto here =
        counted([&] { chosen += select(row.row(), owned.params, draw, workspace, &full).has_value(); });
    EXPECT_EQ(here, 0u) << "seed " << kSeed << ", row " << i << ", " << describe(owned.params);
  }
  EXPECT_GT(chosen, 250);
}

TEST(Allocation, RefusingARowAllocatesNothing) {
  std::vector<float> values(5000, 1.0f);
  values[4321] = std::numeric_limits<float>::quiet_NaN();
  Workspace workspace(5000);
  const Row row{values.data(), 5000, DType::f32};
  EXPECT_EQ(counted([&] { EXPECT_FALSE(select(row, {}, {}, workspace)); }), 0u);
}

TEST(Allocation, IsCounted) {
  const std::uint64_t here = counted([] { static_cast<void>(std::vector<std::uint32_t>(10)); });
  EXPECT_EQ(here, 1u);
}

}  // namespace
}  // namespace truekeel::select
