// SPDX-License-Identifier: Apache-2.0
// Rows, parameters and SIMD targets for tests and fuzzers. Thread safety: with_each_target changes a global
// of Highway: one caller at a time.
#pragma once

#include <hwy/targets.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "base/philox.h"
#include "select/key.h"
#include "select/params.h"
#include "select/select.h"

namespace truekeel::select {

/// A row that owns its values.
struct OwnedRow {
  std::vector<float> wide;
  std::vector<std::uint16_t> narrow;
  DType dtype = DType::f32;

  [[nodiscard]] Row row() const {
    const auto size = static_cast<std::uint32_t>(dtype == DType::f32 ? wide.size() : narrow.size());
    return {dtype == DType::f32 ? static_cast<const void*>(wide.data()) : narrow.data(), size, dtype};
  }
};

enum class Shape { normal, peaked, flat, equal, ties, sorted, negative, tiny, huge, forbidding };
inline constexpr int kShapes = 10;

/// A value of this shape at this place; noise is standard normal.
inline float shaped(Shape shape, double noise, std::size_t at, std::size_t size) {
  switch (shape) {
    case Shape::normal:
      return static_cast<float>(3 * noise);
    case Shape::peaked:
      return static_cast<float>(at % 997 == 5 ? 20 + noise : 2 * noise);
    case Shape::flat:
      return static_cast<float>(0.05 * noise);
    case Shape::equal:
      return 1.5f;
    case Shape::ties:
      return static_cast<float>(std::floor(2 * noise) / 2);
    case Shape::sorted:
      return static_cast<float>(10.0 * static_cast<double>(at) / static_cast<double>(size));
    case Shape::negative:
      return static_cast<float>(-50 - 4 * std::fabs(noise));
    case Shape::tiny:
      return static_cast<float>(noise * 1e-39);
    case Shape::huge:
      return static_cast<float>(noise * 1e37);
    case Shape::forbidding:
      return noise > 0.3 ? -std::numeric_limits<float>::infinity() : static_cast<float>(noise);
  }
  return 0;
}

/// Nearly normal: the sum of four uniforms, which is all these tests need.
inline double noise_of(PhiloxStream& random) {
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += random.uniform() - 0.5;
  return sum * 1.7;
}

inline OwnedRow make_row(PhiloxStream& random, Shape shape, std::uint32_t size, DType dtype) {
  OwnedRow row;
  row.dtype = dtype;
  for (std::uint32_t i = 0; i < size; ++i) {
    const float value = shaped(shape, noise_of(random), i, size);
    if (dtype == DType::f32) row.wide.push_back(value);
    if (dtype == DType::bf16)
      row.narrow.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
    // Any bits that are no NaN and not infinite will do for fp16: the shape is then that of the bits.
    if (dtype == DType::f16)
      row.narrow.push_back(
          static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(value) >> 16 & 0x8fff) | 0x3000));
  }
  return row;
}

/// Parameters that own what they span.
struct OwnedParams {
  Params params;
  std::vector<TokenCount> counts;
  std::vector<TokenBias> bias;
  std::vector<std::uint64_t> allowed;
};

inline OwnedParams make_params(PhiloxStream& random, std::uint32_t size) {
  OwnedParams owned;
  Params& params = owned.params;
  const Chain chains[] = {Chain(), Chain::llama_cpp(), Chain::vllm(), Chain::hf()};
  params.chain = chains[random.below(4)];
  const float temperatures[] = {1, 1, 0.7f, 0.05f, 3, 0};
  params.temperature = temperatures[random.below(6)];
  const std::uint32_t ks[] = {0, 0, 1, 2, 40, 300, size / 2, size, size + 1};
  params.top_k = ks[random.below(9)];
  const double ps[] = {1, 1, 0.9, 0.5, 0.01, 0, 0.999999, std::nextafter(1.0, 0.0)};
  params.top_p = ps[random.below(8)];
  const double min_ps[] = {0, 0, 0, 0.05, 1e-9, 1, 1e-30};
  params.min_p = min_ps[random.below(7)];
  if (random.below(3) == 0) {
    params.repetition = 1.3f, params.frequency = 0.25f, params.presence = -0.5f;
    for (std::uint32_t id = 0; id < size; id += 1 + static_cast<std::uint32_t>(random.below(50)))
      owned.counts.push_back(
          {id, static_cast<std::uint32_t>(random.below(4)), static_cast<std::uint32_t>(random.below(2))});
  }
  if (random.below(4) == 0)
    for (std::uint32_t id = 0; id < size; id += 1 + static_cast<std::uint32_t>(random.below(200)))
      owned.bias.push_back({id, static_cast<float>(random.uniform() * 8 - 4)});
  if (random.below(4) == 0) {
    owned.allowed.resize((size + 63) / 64);
    for (auto& word : owned.allowed) word = random.below(3) == 0 ? ~0ull : random.next() & random.next();
  }
  params.counts = owned.counts;
  params.bias = owned.bias;
  params.allowed = owned.allowed;
  return owned;
}

using Ids = std::vector<std::uint32_t>;

/// Whether a stands before b in the order: key descending, id ascending.
inline bool before(const Row& row, std::uint32_t a, std::uint32_t b) {
  const Key key_a = key_of(row[a]), key_b = key_of(row[b]);
  return key_a != key_b ? key_a > key_b : a < b;
}

/// The k best of these tokens that are allowed, ascending.
inline Ids best_of(const Row& row, Ids ids, std::uint32_t k) {
  std::erase_if(ids, [&](std::uint32_t id) { return key_of(row[id]) == kForbidden; });
  std::ranges::sort(ids, [&](std::uint32_t a, std::uint32_t b) { return before(row, a, b); });
  ids.resize(std::min<std::size_t>(ids.size(), k));
  std::ranges::sort(ids);
  return ids;
}

inline Ids best_of_row(const Row& row, std::uint32_t k) {
  Ids ids(row.size);
  std::iota(ids.begin(), ids.end(), 0u);
  return best_of(row, ids, k);
}

inline std::string describe(const Params& params) {
  return "chain " + params.chain.to_string() + " T " + std::to_string(params.temperature) + " k " +
         std::to_string(params.top_k) + " p " + std::to_string(params.top_p) + " min_p " +
         std::to_string(params.min_p) + " counts " + std::to_string(params.counts.size()) + " bias " +
         std::to_string(params.bias.size()) + " mask " + std::to_string(params.allowed.size());
}

inline std::string to_string(const Outcome& outcome) {
  if (!outcome) return outcome.error().to_error().message;
  const Choice& c = *outcome;
  return "id " + std::to_string(c.id) + " rank " + std::to_string(c.rank) + " margin " +
         std::to_string(c.key_margin) + " kept " + std::to_string(c.kept_count) + " weight " +
         std::to_string(c.kept_weight) + " [" + std::to_string(c.begin) + ", " + std::to_string(c.end) + ")";
}

/// Calls f(name) once for each SIMD target that this machine has and the library was built for.
template <class F>
void with_each_target(F&& f) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    f(hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace truekeel::select
