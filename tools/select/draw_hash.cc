// SPDX-License-Identifier: Apache-2.0
// Prints one hash over a million draws, records included, on every SIMD target that this machine has; exits
// with 1 when two targets differ. Built by two compilers, the same line must come out (see CMakeLists.txt).
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "select/select.h"
#include "select/test_rows.h"

namespace truekeel::select {
namespace {

class Hash {
 public:
  void add(std::uint64_t word) { state_ = (state_ ^ word) * 0x100000001b3ull; }
  void add(double value) { add(std::bit_cast<std::uint64_t>(value)); }
  [[nodiscard]] std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325ull;
};

void add(Hash& hash, const Outcome& outcome, const FullRecord& full) {
  if (!outcome) return hash.add(static_cast<std::uint64_t>(outcome.error().fault));
  hash.add(std::uint64_t{outcome->id} << 32 | outcome->rank);
  hash.add(std::uint64_t{outcome->key_margin} << 32 | outcome->kept_count);
  hash.add(outcome->kept_weight);
  hash.add(outcome->begin);
  hash.add(outcome->end);
  hash.add(full.logprob);
  hash.add(full.tail_mass[0]);
}

/// Some draws from each of many random rows and requests; every sixteenth with a full record.
std::uint64_t hash_of(std::uint32_t draws) {
  constexpr std::uint32_t kDrawsPerRow = 100, kSize = 20000;  // most rows are shorter, for time
  Hash hash;
  Workspace workspace(kSize);
  for (std::uint32_t row_number = 0; row_number < draws / kDrawsPerRow; ++row_number) {
    PhiloxStream random(row_number, 77);
    const auto size = 1 + static_cast<std::uint32_t>(random.below(row_number % 100 == 0 ? kSize : 700));
    const auto shape = static_cast<Shape>(random.below(kShapes));
    const OwnedRow row = make_row(random, shape, size, static_cast<DType>(random.below(3)));
    const OwnedParams owned = make_params(random, size);
    for (std::uint32_t position = 0; position < kDrawsPerRow; ++position) {
      FullRecord full;
      const Draw draw = Draw::at(row_number, position);
      add(hash, select(row.row(), owned.params, draw, workspace, position % 16 == 0 ? &full : nullptr), full);
    }
  }
  return hash.value();
}

}  // namespace
}  // namespace truekeel::select

int main() {
  constexpr std::uint32_t kDraws = 1'000'000, kDrawsOnOthers = 100'000;
  const std::uint64_t best = truekeel::select::hash_of(kDraws),
                      part = truekeel::select::hash_of(kDrawsOnOthers);
  bool equal = true;
  truekeel::select::with_each_target([&](const char* target) {
    if (truekeel::select::hash_of(kDrawsOnOthers) == part) return;
    std::fprintf(stderr, "draw_hash: %s differs\n", target);
    equal = false;
  });
  std::printf("%016llx %016llx\n", static_cast<unsigned long long>(best),
              static_cast<unsigned long long>(part));
  return equal ? 0 : 1;
}
