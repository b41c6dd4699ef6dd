// SPDX-License-Identifier: Apache-2.0
// Real bugs, each named by its public issue and rebuilt as a mutant of the clean sampler.
#include <gtest/gtest.h>

#include "conformance/mutant_test.h"
#include "conformance/reference.h"

namespace truekeel::conformance {
namespace {

/// jax#19271: top_k over a sharded axis returns a first value below the best.
struct ShardedTopLost : CleanSampler {
  Ids top(const Call& call, std::size_t slot, const Logits& logits, std::size_t count) const override {
    Ids kept = CleanSampler::top(call, slot, logits, count);
    if (call.shards.size() > 3 && kept.size() > 1) kept.erase(kept.begin());
    return kept;
  }
};
TEST(Museum, Jax19271) { expect_caught<ShardedTopLost>("law/shards"); }

/// sglang#31895: the all-reduce that should take the least id adds them up.
struct ReduceAddsIds : CleanSampler {
  Ids top(const Call& call, std::size_t slot, const Logits& logits, std::size_t count) const override {
    Ids kept = CleanSampler::top(call, slot, logits, count);
    if (call.shards.size() < 2 || count > 1) return kept;
    TokenId sum = 0;
    for (const auto& [begin, end] : shards(call, logits.size()))
      for (TokenId id : best_of(logits, begin, end, 1)) sum += id;
    // Past the vocabulary the real one reads foreign memory; a wrong id inside is bad enough.
    return {sum % static_cast<TokenId>(logits.size())};
  }
};
TEST(Museum, Sglang31895) { expect_caught<ReduceAddsIds>("law/shards"); }

/// flashinfer#3774: [.4, .3, .3] with k = 2 returns three tokens.
struct BoundaryTiesStay : CleanSampler {
  Ids top(const Call& call, std::size_t slot, const Logits& logits, std::size_t count) const override {
    Ids kept = CleanSampler::top(call, slot, logits, logits.size());
    const double last = logits[kept[std::min(count, kept.size()) - 1]];
    std::erase_if(kept, [&](TokenId id) { return logits[id] < last; });
    return kept;
  }
};
TEST(Museum, Flashinfer3774) { expect_caught<BoundaryTiesStay>("/top-k-ties"); }

/// vllm#51367: uniforms of 24 bits bound the noise at 16.6, and rarer tokens are lost.
struct Noise24Bits : GumbelSampler {
  double uniform(std::uint64_t hash) const override { return static_cast<double>(hash >> 40) * 0x1p-24; }
};
TEST(Museum, Vllm51367) { expect_caught<Noise24Bits, GumbelSampler>("distribution/tail-131072", 14'000); }

/// sglang#25106: a 32-bit hash, as a float, reaches 1: infinite noise.
struct NoiseReachesInfinity : GumbelSampler {
  double uniform(std::uint64_t hash) const override {
    return static_cast<double>(static_cast<float>(static_cast<std::uint32_t>(hash >> 32)) * 0x1p-32F);
  }
};
TEST(Museum, Sglang25106) {
  expect_caught<NoiseReachesInfinity, GumbelSampler>("distribution/hidden-4096", 200'000);
}

/// vllm#5639: penalties are those of the request before.
struct NeighboursPenalties : CleanSampler {
  std::span<const TokenId> history(const Call& call, std::size_t slot) const override {
    return call.rows[slot == 0 ? 0 : slot - 1].history;
  }
};
TEST(Museum, Vllm5639) { expect_caught<NeighboursPenalties>("batch/order"); }

/// llama.cpp#1953: top-p keeps one token too many.
struct TopPKeepsOneMore : CleanSampler {
  std::size_t top_p_count(const std::vector<double>& shares, double p) const override {
    return CleanSampler::top_p_count(shares, p) + 1;
  }
};
TEST(Museum, LlamaCpp1953) {
  expect_caught<TopPKeepsOneMore>("enumeration/top-p");
  expect_caught<TopPKeepsOneMore>("distribution/top-p");
}

/// mlx-lm#388: a small p masks every token; what comes is arbitrary.
struct TopPMasksAll : CleanSampler {
  TokenId pick(const Prepared& row, const Call& call, std::size_t slot, std::uint64_t step) const override {
    const bool masked = row.ids.size() == 1 && call.rows[slot].params.top_p < 1;
    return masked ? TokenId{0} : CleanSampler::pick(row, call, slot, step);
  }
};
TEST(Museum, MlxLm388) {
  expect_caught<TopPMasksAll>("distribution/top-p-small");
  expect_caught<TopPMasksAll>("edge/top-p");
}

/// ollama#10779: the presence penalty is wired to the frequency penalty.
struct PresenceIsFrequency : CleanSampler {
  Params effective(const Params& params) const override {
    Params wired = params;
    wired.frequency = params.presence;
    wired.presence = 0;
    return wired;
  }
};
TEST(Museum, Ollama10779) { expect_caught<PresenceIsFrequency>("distribution/presence"); }

/// pytorch#48841: where the uniform falls on a boundary of the sums, a token of weight 0 is drawn. Without
/// injection, so that statistics alone must find it: the uniform is coarse, as that of a half float.
struct ZeroWeightDrawn : CleanSampler {
  ZeroWeightDrawn() { semantics_.injects = false; }
  TokenId pick(const Prepared& row, const Call& call, std::size_t slot, std::uint64_t step) const override {
    const bool boundary = bits(call, slot, step) >> 53 == 0;
    return boundary ? TokenId{0} : CleanSampler::pick(row, call, slot, step);
  }
};
TEST(Museum, Pytorch48841) { expect_caught<ZeroWeightDrawn>("distribution/masked"); }

/// Megatron-LM#7182: the running sum in bf16 saturates, and the tail of the vocabulary is cut.
struct SumSaturates : CleanSampler {
  std::vector<std::uint64_t> cumulative(const Logits& below_top) const override {
    std::vector<std::uint64_t> sums;
    float sum = 0;
    for (double logit : below_top) {
      sum = rounded(sum + static_cast<float>(std::exp(logit)), Dtype::bf16);
      sums.push_back(static_cast<std::uint64_t>(static_cast<double>(sum) * 0x1p40));
    }
    return sums;
  }
};
TEST(Museum, MegatronLM7182) { expect_caught<SumSaturates>("distribution/flat-4096"); }

/// tpu-inference#1386: a disabled top-k arrives as 1, and sampling turns greedy.
struct DisabledTopKIsOne : CleanSampler {
  Params effective(const Params& params) const override {
    Params wrong = params;
    if (!wrong.top_k || *wrong.top_k == 0) wrong.top_k = 1;
    return wrong;
  }
};
TEST(Museum, TpuInference1386) { expect_caught<DisabledTopKIsOne>("distribution/typical"); }

/// flashinfer#384: sums in floats end below the uniform for p next to 1, and the search runs past the
/// vocabulary.
struct SumsEndTooEarly : CleanSampler {
  TokenId pick(const Prepared& row, const Call& call, std::size_t slot, std::uint64_t step) const override {
    const bool last = bits(call, slot, step) >> 54 == 0x3FF;
    return last && call.rows[slot].params.top_p < 1 ? static_cast<TokenId>(call.rows[slot].logits.size())
                                                    : CleanSampler::pick(row, call, slot, step);
  }
};
TEST(Museum, Flashinfer384) { expect_caught<SumsEndTooEarly>("edge/top-p-below-1"); }

/// pytorch/xla#2525: argmax of bf16 where the logits are fp32.
struct ComparesInBf16 : CleanSampler {
  Ids top(const Call& call, std::size_t slot, const Logits& logits, std::size_t count) const override {
    Logits coarse;
    for (double logit : logits) coarse.push_back(rounded(static_cast<float>(logit), Dtype::bf16));
    return CleanSampler::top(call, slot, coarse, count);
  }
};
TEST(Museum, PytorchXla2525) { expect_caught<ComparesInBf16>("edge/one-ulp"); }

/// sglang#35697: noise is numbered by rank as soon as a batch mate filters.
struct NoiseByRankIfMateFilters : GumbelSampler {
  std::uint64_t noise_key(const Call& call, std::size_t slot, const Prepared& row,
                          std::size_t index) const override {
    const bool filters =
        std::ranges::any_of(call.rows, [](const Row& mate) { return mate.params.top_k.has_value(); });
    if (!filters || call.rows.size() == 1) return GumbelSampler::noise_key(call, slot, row, index);
    return static_cast<std::uint64_t>(
        std::ranges::count_if(row.logits, [&](double logit) { return logit > row.logits[index]; }));
  }
};
TEST(Museum, Sglang35697) {
  expect_caught<NoiseByRankIfMateFilters, GumbelSampler>("batch/filtering-neighbour");
}

/// vllm#51226: a seed is ignored if a batch mate has none.
struct SeedNeedsSeededMates : CleanSampler {
  std::uint64_t bits(const Call& call, std::size_t slot, std::uint64_t step) const override {
    const bool all = std::ranges::all_of(call.rows, [](const Row& row) { return row.seed.has_value(); });
    return all || !call.uniforms.empty() ? CleanSampler::bits(call, slot, step) : unseeded_.next();
  }
};
TEST(Museum, Vllm51226) { expect_caught<SeedNeedsSeededMates>("batch/unseeded-neighbour"); }

}  // namespace
}  // namespace truekeel::conformance
