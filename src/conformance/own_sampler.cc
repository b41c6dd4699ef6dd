// SPDX-License-Identifier: Apache-2.0
#include "conformance/own_sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>

#include "select/select.h"

namespace truekeel::conformance {
namespace {

constexpr std::uint32_t kWorkspaceVocabulary = 1 << 17;

std::uint16_t half_bits(float value, Dtype dtype) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if (dtype == Dtype::bf16) return static_cast<std::uint16_t>(bits >> 16);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7E00);
  if (std::isinf(value)) return static_cast<std::uint16_t>(sign | 0x7C00);
  // The kit has rounded the value: it is exact, as a normal number or as a multiple of 2^-24.
  const float size = std::abs(value);
  if (size < 0x1p-14F) return static_cast<std::uint16_t>(sign | static_cast<std::uint16_t>(size * 0x1p24F));
  return static_cast<std::uint16_t>(sign | ((bits & 0x7FFFFFFF) - (112U << 23)) >> 13);
}

select::DType dtype_of(Dtype dtype) {
  return dtype == Dtype::fp32   ? select::DType::f32
         : dtype == Dtype::fp16 ? select::DType::f16
                                : select::DType::bf16;
}

/// The rows of a call in one block of memory; the padding is NaN, so that reading it shows.
std::vector<std::byte> laid_out(const Call& call, Dtype dtype) {
  const std::size_t width = select::bytes_of(dtype_of(dtype));
  std::vector<std::byte> memory;
  const auto append = [&](float value) {
    const std::uint16_t half = dtype == Dtype::fp32 ? std::uint16_t{0} : half_bits(value, dtype);
    const void* from = dtype == Dtype::fp32 ? static_cast<const void*>(&value) : &half;
    memory.resize(memory.size() + width);
    std::memcpy(memory.data() + memory.size() - width, from, width);
  };
  for (const Row& row : call.rows) {
    for (float logit : row.logits) append(logit);
    for (std::uint32_t i = 0; i < call.row_padding; ++i) append(NAN);
  }
  return memory;
}

select::Chain library_chain() {
  using select::Op;
  return select::Chain::make(
             std::vector{Op::bias, Op::penalties, Op::mask, Op::temperature, Op::top_k, Op::top_p, Op::min_p})
      .value();
}

}  // namespace

/// What one call's parameters point into.
struct OwnSampler::Scratch {
  select::Workspace workspace{kWorkspaceVocabulary};
  std::vector<std::vector<select::TokenCount>> counts;
  std::vector<std::vector<select::TokenBias>> biases;

  select::Params params_of(const Row& row) {
    const Params& from = row.params;
    select::Params params{.chain = library_chain(), .temperature = from.temperature};
    params.top_k = static_cast<std::uint32_t>(from.top_k.value_or(0));
    params.top_p = from.top_p;
    params.min_p = from.min_p;
    params.repetition = from.repetition;
    params.frequency = from.frequency;
    params.presence = from.presence;

    std::map<TokenId, std::uint32_t> times;
    for (TokenId id : row.history) ++times[id];
    std::vector<select::TokenCount>& own_counts = counts.emplace_back();
    for (const auto& [id, count] : times) own_counts.push_back({static_cast<std::uint32_t>(id), count});
    std::vector<select::TokenBias>& own_biases = biases.emplace_back();
    for (const auto& [id, bias] : from.bias) own_biases.push_back({static_cast<std::uint32_t>(id), bias});
    std::ranges::sort(own_biases, {}, &select::TokenBias::id);
    params.counts = own_counts;
    params.bias = own_biases;
    return params;
  }
};

OwnSampler::OwnSampler(Dtype dtype) : scratch_(std::make_unique<Scratch>()) {
  semantics_.name = "truekeel";
  semantics_.version = "0.1.0";
  semantics_.dtype = dtype;
  semantics_.injects = true;
  semantics_.seeding = Seeding::keyed;
  semantics_.interval_order = IntervalOrder::by_id;
  // The library's exponential is pinned to fp32 operations: 2^-23 of relative error, a little more in all.
  semantics_.resolution = 0x1p-22;
  semantics_.smallest_weight = 0x1p-44;
  semantics_.batch_max = 65;
  semantics_.batch_invariant = true;
  semantics_.strided = true;
  semantics_.edges = {{Edge::nan_logit, EdgeRule::refused},
                      {Edge::plus_infinity, EdgeRule::refused},
                      {Edge::all_forbidden, EdgeRule::refused},
                      {Edge::temperature_zero, EdgeRule::greedy},
                      {Edge::temperature_negative, EdgeRule::refused},
                      {Edge::temperature_nan, EdgeRule::refused},
                      {Edge::top_k_zero, EdgeRule::off},
                      {Edge::top_k_negative, EdgeRule::undefined},
                      {Edge::top_p_zero, EdgeRule::greedy},
                      {Edge::top_p_above_one, EdgeRule::refused}};
}

OwnSampler::~OwnSampler() = default;

Result<std::vector<Draw>> OwnSampler::draw(const Call& call) {
  const std::vector<std::byte> memory = laid_out(call, semantics_.dtype);
  const auto vocabulary = static_cast<std::uint32_t>(call.rows.front().logits.size());
  const select::Batch batch{.data = memory.data(),
                            .dtype = dtype_of(semantics_.dtype),
                            .rows = static_cast<std::uint32_t>(call.rows.size()),
                            .vocabulary = vocabulary,
                            .stride = vocabulary + call.row_padding};
  scratch_->counts.clear();
  scratch_->biases.clear();
  std::vector<select::Params> params;
  for (const Row& row : call.rows) params.push_back(scratch_->params_of(row));
  std::vector<select::Draw> uniforms(call.rows.size());
  std::vector<select::Outcome> outcomes(call.rows.size());

  std::vector<Draw> draws;
  for (std::uint64_t step = 0; step < call.steps; ++step) {
    for (std::size_t i = 0; i < call.rows.size(); ++i) {
      const Row& row = call.rows[i];
      if (!call.uniforms.empty())
        uniforms[i] = {call.uniforms[step * call.rows.size() + i]};
      else if (row.seed)
        uniforms[i] = select::Draw::at(*row.seed, row.position + step);
      else
        uniforms[i] = select::Draw::at(/*seed=*/0, unseeded_++, /*stream=*/1);
    }
    if (const auto failed = select::select_batch(batch, params, uniforms, scratch_->workspace, outcomes);
        !failed)
      return std::unexpected(failed.error().to_error());
    for (const select::Outcome& outcome : outcomes) {
      if (outcome)
        draws.emplace_back(static_cast<TokenId>(outcome->id));
      else
        draws.emplace_back(std::unexpect, outcome.error().to_error().message);
    }
  }
  return draws;
}

}  // namespace truekeel::conformance
