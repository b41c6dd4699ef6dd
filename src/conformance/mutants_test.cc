// SPDX-License-Identifier: Apache-2.0
// The planted mutants: each wraps the clean sampler and breaks one step.
#include <gtest/gtest.h>

#include <numeric>

#include "conformance/mutant_test.h"
#include "conformance/reference.h"

namespace truekeel::conformance {
namespace {

TEST(CleanSampler, ConformsInEveryCheck) {
  CleanSampler clean;
  expect_passes(clean, "");
}

TEST(CleanSampler, ConformsAsGumbelNoise) {
  GumbelSampler clean;
  for (const char* only : {"batch/", "law/", "edge/", "independence/", "distribution/top"})
    expect_passes(clean, only);
}

struct TwentyFourBits : CleanSampler {
  std::uint64_t bits(const Call& call, std::size_t slot, std::uint64_t step) const override {
    return CleanSampler::bits(call, slot, step) >> 40 << 40;
  }
};
TEST(Mutant, TwentyFourBitUniform) { expect_caught<TwentyFourBits>("enumeration/"); }

/// Noise numbered within each shard: shards draw the same noise for different tokens.
struct NoiseByShard : GumbelSampler {
  std::uint64_t noise_key(const Call& call, std::size_t, const Prepared& row,
                          std::size_t index) const override {
    const TokenId id = row.ids[index];
    for (const auto& [begin, end] : shards(call, 0))
      if (id < end) return static_cast<std::uint64_t>(id - begin);
    return static_cast<std::uint64_t>(id);
  }
};
TEST(Mutant, NoiseKeyedByShard) { expect_caught<NoiseByShard, GumbelSampler>("law/shards"); }

/// Noise numbered by rank in the order of logits.
struct NoiseByRank : GumbelSampler {
  std::uint64_t noise_key(const Call&, std::size_t, const Prepared& row, std::size_t index) const override {
    return static_cast<std::uint64_t>(
        std::ranges::count_if(row.logits, [&](double logit) { return logit > row.logits[index]; }));
  }
};
TEST(Mutant, NoiseKeyedByRank) { expect_caught<NoiseByRank, GumbelSampler>("distribution/top-k"); }

struct TiesByValueOnly : CleanSampler {
  Ids top(const Call& call, std::size_t slot, const Logits& logits, std::size_t count) const override {
    Ids kept = CleanSampler::top(call, slot, logits, count);
    const double last = logits[kept.back()];
    for (TokenId id = 0; id < static_cast<TokenId>(logits.size()); ++id)
      if (logits[id] == last && std::ranges::count(kept, id) == 0) kept.push_back(id);
    return kept;
  }
};
TEST(Mutant, TiesByValueOnly) {
  expect_caught<TiesByValueOnly>("enumeration/top-k-ties");
  expect_caught<TiesByValueOnly>("distribution/top-k-ties");
  expect_caught<TiesByValueOnly>("edge/greedy-ties");
}

/// The uniform rounds up to 1, and the search runs off the end.
struct OneIsReachable : CleanSampler {
  TokenId pick(const Prepared& row, const Call& call, std::size_t slot, std::uint64_t step) const override {
    const double uniform = static_cast<double>(bits(call, slot, step)) * 0x1p-64;
    if (uniform == 1) return static_cast<TokenId>(call.rows[slot].logits.size() - 1);
    return CleanSampler::pick(row, call, slot, step);
  }
};
TEST(Mutant, OneIsReachable) { expect_caught<OneIsReachable>("enumeration/masked"); }

struct ShardLocalIds : CleanSampler {
  Ids top(const Call& call, std::size_t, const Logits& logits, std::size_t count) const override {
    Ids merged;
    for (const auto& [begin, end] : shards(call, logits.size()))
      for (TokenId id : best_of(logits, begin, end, count)) merged.push_back(id - begin);
    sort(merged, logits);
    merged.erase(std::ranges::unique(merged).begin(), merged.end());
    merged.resize(std::min(count, merged.size()));
    return merged;
  }
};
TEST(Mutant, ShardLocalIds) { expect_caught<ShardLocalIds>("law/shards"); }

struct Bf16Sum : CleanSampler {
  std::vector<std::uint64_t> cumulative(const Logits& below_top) const override {
    std::vector<std::uint64_t> sums;
    float sum = 0;
    for (double logit : below_top) {
      sum = rounded(sum + static_cast<float>(std::exp(logit)), Dtype::bf16);
      sums.push_back(static_cast<std::uint64_t>(static_cast<double>(sum) * 0x1p44));
    }
    return sums;
  }
};
TEST(Mutant, Bf16Sum) {
  expect_caught<Bf16Sum>("distribution/flat-4096");
  expect_caught<Bf16Sum>("enumeration/eight");
}

struct BestLostAtOddSizes : CleanSampler {
  Ids top(const Call& call, std::size_t slot, const Logits& logits, std::size_t count) const override {
    Ids kept = CleanSampler::top(call, slot, logits, count + 1);
    if (call.rows.size() % 2 == 1 && call.rows.size() > 1 && kept.size() > 1) kept.erase(kept.begin());
    kept.resize(std::min(kept.size(), count));
    return kept;
  }
};
TEST(Mutant, BestLostAtOddBatchSizes) {
  expect_caught<BestLostAtOddSizes>("batch/best-");
  expect_caught<BestLostAtOddSizes>("batch/size-");
}

struct PenaltyByBatchOrder : CleanSampler {
  std::span<const TokenId> history(const Call& call, std::size_t slot) const override {
    return call.rows[call.rows.size() - 1 - slot].history;
  }
};
TEST(Mutant, PenaltyByBatchOrder) { expect_caught<PenaltyByBatchOrder>("batch/"); }

struct SeedIgnoredBesideUnseeded : CleanSampler {
  std::uint64_t bits(const Call& call, std::size_t slot, std::uint64_t step) const override {
    const bool unseeded = std::ranges::any_of(call.rows, [](const Row& row) { return !row.seed; });
    return unseeded && call.uniforms.empty() ? unseeded_.next() : CleanSampler::bits(call, slot, step);
  }
};
TEST(Mutant, SeedIgnoredBesideUnseeded) {
  expect_caught<SeedIgnoredBesideUnseeded>("batch/unseeded-neighbour");
}

/// One draw for the whole batch.
struct OneUniformForAll : CleanSampler {
  std::uint64_t bits(const Call& call, std::size_t, std::uint64_t step) const override {
    return CleanSampler::bits(call, 0, step);
  }
};
TEST(Mutant, OneUniformForAllRows) { expect_caught<OneUniformForAll>("independence/batch"); }

/// The position enters the key without its low bit.
struct EveryDrawTwice : CleanSampler {
  std::uint64_t bits(const Call& call, std::size_t slot, std::uint64_t step) const override {
    Call even = call;
    for (Row& row : even.rows) row.position = (row.position + step) / 2;
    return CleanSampler::bits(even, slot, 0);
  }
};
TEST(Mutant, EveryDrawTwice) { expect_caught<EveryDrawTwice>("independence/consecutive"); }

}  // namespace
}  // namespace truekeel::conformance
