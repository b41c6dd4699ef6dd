// SPDX-License-Identifier: Apache-2.0
#include "samplers/own_sampler.h"

#include <hwy/targets.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <thread>

#include "select/local_transport.h"
#include "select/select.h"
#include "select/shards.h"

namespace truekeel::samplers {
namespace {

using namespace conformance;

constexpr std::uint32_t kWorkspaceVocabulary = 1 << 17;

std::uint16_t half_bits(float value, Dtype dtype) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
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
  switch (dtype) {
    case Dtype::fp32:
      return select::DType::f32;
    case Dtype::fp16:
      return select::DType::f16;
    case Dtype::bf16:
      return select::DType::bf16;
  }
  return select::DType::f32;
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

/// Switches Highway to one target for as long as it lives; an unknown or empty name changes nothing.
class TargetScope {
 public:
  explicit TargetScope(const std::string& name) {
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets())
      if (name == hwy::TargetName(target)) use(target);
  }
  TargetScope(const TargetScope&) = delete;
  TargetScope& operator=(const TargetScope&) = delete;
  ~TargetScope() { use(0); }

 private:
  static void use(std::int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets())
    names.emplace_back(hwy::TargetName(target));
  return names;
}

Draw draw_of(const select::Outcome& outcome) {
  if (outcome) return static_cast<TokenId>(outcome->id);
  return std::unexpected(outcome.error().to_error().message);
}

/// One row's outcomes at every step, its vocabulary split over one thread a shard.
std::vector<select::Outcome> select_sharded(const Call& call, const select::Row& row,
                                            const select::Params& params,
                                            std::span<const select::Draw> uniforms) {
  const auto count = static_cast<std::uint32_t>(call.shards.size());
  select::LocalGroup group(count);
  std::vector<std::vector<select::Outcome>> by_shard(count);
  {
    std::vector<std::jthread> threads;
    std::uint32_t first = 0;
    for (std::uint32_t rank = 0; rank < count; ++rank) {
      const auto size = static_cast<std::uint32_t>(call.shards[rank]);
      const std::byte* data = static_cast<const std::byte*>(row.data) + first * select::bytes_of(row.dtype);
      const select::Shard shard{.row = {data, size, row.dtype}, .first_id = first, .vocabulary = row.size};
      threads.emplace_back([&, rank, shard] {
        select::ShardWorkspace workspace(row.size);
        for (const select::Draw uniform : uniforms)
          by_shard[rank].push_back(select_shard(shard, params, uniform, group.endpoint(rank), workspace));
      });
      first += size;
    }
  }
  // All shards must say the same: the one that does not speaks for the row.
  for (const auto& own : by_shard)
    if (own != by_shard.front()) return own;
  return by_shard.front();
}

}  // namespace

/// What one call's parameters point into, and the rows without a seed.
struct OwnSampler::Scratch {
  select::Workspace workspace{kWorkspaceVocabulary};
  std::vector<std::vector<select::TokenCount>> counts;
  std::vector<std::vector<select::TokenBias>> biases;
  std::uint64_t unseeded = 0;

  select::Params params_of(const Row& row) {
    const Params& from = row.params;
    std::map<TokenId, std::uint32_t> times;
    for (TokenId id : row.history) ++times[id];
    std::vector<select::TokenCount>& own_counts = counts.emplace_back();
    for (const auto& [id, count] : times) own_counts.push_back({static_cast<std::uint32_t>(id), count});
    std::vector<select::TokenBias>& own_biases = biases.emplace_back();
    for (const auto& [id, bias] : from.bias) own_biases.push_back({static_cast<std::uint32_t>(id), bias});
    std::ranges::sort(own_biases, {}, &select::TokenBias::id);

    select::Params params{.temperature = from.temperature};
    params.top_k = static_cast<std::uint32_t>(from.top_k.value_or(0));
    params.top_p = from.top_p;
    params.min_p = from.min_p;
    params.repetition = from.repetition;
    params.frequency = from.frequency;
    params.presence = from.presence;
    params.counts = own_counts;
    params.bias = own_biases;
    return params;
  }

  select::Draw uniform_of(const Call& call, std::uint64_t step, std::size_t slot) {
    const Row& row = call.rows[slot];
    if (!call.uniforms.empty()) return {call.uniforms[step * call.rows.size() + slot]};
    if (row.seed) return select::Draw::at(*row.seed, row.position + step);
    return select::Draw::at(/*seed=*/0, unseeded++, /*stream=*/1);
  }
};

OwnSampler::OwnSampler(Dtype dtype) : scratch_(std::make_unique<Scratch>()) {
  semantics_.name = "truekeel";
  semantics_.version = TRUEKEEL_VERSION;
  semantics_.dtype = dtype;
  semantics_.injects = true;
  semantics_.seeding = Seeding::keyed;
  semantics_.interval_order = IntervalOrder::by_id;
  // The library's exponential is pinned to fp32 operations: 2^-23 of relative error, a little more in all.
  semantics_.resolution = 0x1p-22;
  semantics_.smallest_weight = 0x1p-44;
  semantics_.batch_max = 65;
  semantics_.batch_invariant = true;
  semantics_.shards_max = 64;
  semantics_.targets = target_names();
  semantics_.strided = true;
  semantics_.edges = {{Edge::nan_logit, EdgeRule::refused},
                      {Edge::plus_infinity, EdgeRule::refused},
                      {Edge::all_forbidden, EdgeRule::refused},
                      {Edge::temperature_zero, EdgeRule::greedy},
                      {Edge::temperature_negative, EdgeRule::refused},
                      {Edge::temperature_nan, EdgeRule::refused},
                      {Edge::top_k_zero, EdgeRule::off},
                      {Edge::top_p_zero, EdgeRule::greedy},
                      {Edge::top_p_above_one, EdgeRule::refused}};
}

OwnSampler::~OwnSampler() = default;

Result<std::vector<Draw>> OwnSampler::draw(const Call& call) {
  const TargetScope target(call.target);
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
  params.reserve(call.rows.size());
  for (const Row& row : call.rows) params.push_back(scratch_->params_of(row));

  const std::size_t rows = call.rows.size();
  std::vector<select::Draw> uniforms(call.steps * rows);
  for (std::size_t i = 0; i < uniforms.size(); ++i)
    uniforms[i] = scratch_->uniform_of(call, i / rows, i % rows);
  std::vector<select::Outcome> outcomes(uniforms.size());
  if (!call.shards.empty()) {
    if (rows != 1) return fail(ErrorCode::invalid_argument, "shards are of one row at a time");
    outcomes = select_sharded(call, batch.row(0), params.front(), uniforms);
  } else {
    for (std::uint64_t step = 0; step < call.steps; ++step) {
      const auto failed =
          select::select_batch(batch, params, std::span(uniforms).subspan(step * rows, rows),
                               scratch_->workspace, std::span(outcomes).subspan(step * rows, rows));
      if (!failed) return std::unexpected(failed.error().to_error());
    }
  }
  std::vector<Draw> draws;
  draws.reserve(outcomes.size());
  for (const select::Outcome& outcome : outcomes) draws.push_back(draw_of(outcome));
  return draws;
}

}  // namespace truekeel::samplers
