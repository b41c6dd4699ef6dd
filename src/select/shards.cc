// SPDX-License-Identifier: Apache-2.0
#include "select/shards.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "base/assert.h"
#include "select/buffers.h"
#include "select/check.h"
#include "select/edits.h"
#include "select/full_record.h"
#include "select/mass.h"
#include "select/rounding.h"
#include "select/shard_pipeline.h"
#include "select/survey.h"

namespace truekeel::select {
namespace {

/// Which part of a request a fault was found in: an earlier one goes first, whatever shard it is on.
enum class Stage : std::uint8_t { request, raw, edited, none };

/// The first message of every shard.
struct Hello {
  std::uint64_t request = 0;  ///< a hash of what all shards must share
  std::uint32_t first_id = 0, size = 0, vocabulary = 0;
  DType dtype = DType::f32;
  Stage stage = Stage::none;
  Fault fault{};
  std::uint8_t unused = 0;
  std::uint32_t fault_id = Failure::kNoId;
  Ordinal raw_top = kForbiddenOrdinal, top = kForbiddenOrdinal;
  std::uint32_t raw_top_id = 0, top_id = 0;
};
static_assert(sizeof(Hello) == 48);

/// FNV-1a over 64-bit words; it tells shards apart that were given different requests, nothing more.
class Hash {
 public:
  Hash& add(std::uint64_t word) {
    state_ = (state_ ^ word) * 0x100000001b3ull;
    state_ ^= state_ >> 29;
    return *this;
  }
  Hash& add(double value) { return add(std::bit_cast<std::uint64_t>(value)); }
  Hash& add(float value) { return add(static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(value))); }
  [[nodiscard]] std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325ull;
};

std::uint64_t hash_of(const Params& params, Draw draw, ShardOptions options, bool full) {
  Hash hash;
  for (const Op op : params.chain.ops()) hash.add(static_cast<std::uint64_t>(op) + 1);
  hash.add(params.temperature).add(std::uint64_t{params.top_k}).add(params.top_p).add(params.min_p);
  hash.add(params.repetition).add(params.frequency).add(params.presence).add(draw.bits);
  hash.add(std::uint64_t{options.round_to_coarsest} << 1 | std::uint64_t{full});
  for (const TokenCount& entry : params.counts)
    hash.add(std::uint64_t{entry.id} << 32 | entry.counted).add(std::uint64_t{entry.repeated});
  for (const TokenBias& entry : params.bias) hash.add(std::uint64_t{entry.id}).add(entry.bias);
  for (const std::uint64_t word : params.allowed) hash.add(word);
  return hash.value();
}

/// One shard's call.
class Call {
 public:
  Call(const Shard& shard, const Params& params, Transport& transport, Buffers& buffers,
       std::span<std::byte> messages)
      : shard_(shard),
        params_(params),
        transport_(transport),
        buffers_(buffers),
        hellos_(reinterpret_cast<Hello*>(messages.data()), transport.size()),
        messages_(messages.subspan(hellos_.size_bytes())) {}

  Outcome run(Draw draw, ShardOptions options, FullRecord* full);

 private:
  [[nodiscard]] Hello greet(std::uint64_t request);
  void load_raw();
  void survey_parts(Hello& hello);
  [[nodiscard]] bool exchange(const Hello& own);
  [[nodiscard]] std::optional<Failure> disagreement() const;
  [[nodiscard]] std::optional<Failure> first_fault() const;
  template <class F>
  [[nodiscard]] std::uint64_t shards_unlike_first(F&& f) const;
  [[nodiscard]] Agreement agree(Ordinal Hello::* top, std::uint32_t Hello::* top_id) const;
  [[nodiscard]] bool run_chain(ShardPipeline& pipeline, Draw draw, Choice& choice) const;
  [[nodiscard]] bool record(const Choice& choice, FullRecord& full);

  const Shard& shard_;
  const Params& params_;
  Transport& transport_;
  Buffers& buffers_;
  const std::span<Hello> hellos_;
  const std::span<std::byte> messages_;
  DType rounded_to_ = DType::f32;  ///< fp32: not rounded
  Blocks raw_, blocks_;
};

constexpr std::uint64_t bit_of(std::uint32_t rank) { return 1ull << std::min(rank, 63u); }

/// The row as this shard holds it, or rounded.
void Call::load_raw() {
  raw_ = blocks_of(shard_.row, TailBuffer(buffers_.tail, TailBuffer::extent));
  if (rounded_to_ == DType::f32) return;
  raw_ = apply_edits(raw_, Params(), 0, buffers_.edited);
  round_all_to(rounded_to_, buffers_.edited.first(shard_.row.size));
}

/// Checks and surveys what this shard has.
Hello Call::greet(std::uint64_t request) {
  Hello hello{.request = request,
              .first_id = shard_.first_id,
              .size = shard_.row.size,
              .vocabulary = shard_.vocabulary,
              .dtype = shard_.row.dtype};
  std::optional<Failure> failure = check(params_, shard_.vocabulary);
  if (!failure && (shard_.vocabulary > buffers_.vocabulary || shard_.row.size > shard_.vocabulary))
    failure = Failure{Fault::workspace_too_small};
  if (failure) {
    hello.stage = Stage::request;
    hello.fault = failure->fault;
    hello.fault_id = failure->id;
    return hello;
  }
  survey_parts(hello);
  return hello;
}

void Call::survey_parts(Hello& hello) {
  const auto look = [&](const Blocks& blocks, Stage stage, Ordinal& top, std::uint32_t& top_id) {
    const auto found = survey(blocks, buffers_.groups);
    if (!found) {
      hello.stage = stage;
      hello.fault = found.error().fault;
      hello.fault_id = found.error().id + shard_.first_id;
      return false;
    }
    top = found->top;
    if (top > kForbiddenOrdinal) top_id = first_with(blocks, buffers_.groups, top) + shard_.first_id;
    return true;
  };
  load_raw();
  if (!look(raw_, Stage::raw, hello.raw_top, hello.raw_top_id)) return;
  blocks_ = raw_;
  hello.top = hello.raw_top;
  hello.top_id = hello.raw_top_id;
  if (!edits_logits(params_)) return;
  blocks_ = apply_edits(raw_, params_, shard_.first_id, buffers_.edited);
  (void)look(blocks_, Stage::edited, hello.top, hello.top_id);
}

bool Call::exchange(const Hello& own) {
  return transport_.all_gather(std::as_bytes(std::span(&own, 1)), std::as_writable_bytes(hellos_));
}

template <class F>
std::uint64_t Call::shards_unlike_first(F&& f) const {
  std::uint64_t shards = 0;
  for (std::uint32_t rank = 1; rank < hellos_.size(); ++rank)
    if (f(hellos_[rank]) != f(hellos_[0])) shards |= bit_of(rank);
  return shards;
}

/// What all shards must share but do not; dtypes apart.
std::optional<Failure> Call::disagreement() const {
  const auto refuse = [](Fault fault, std::uint64_t shards) {
    return Failure{fault, 0, Failure::kNoId, shards};
  };
  if (const auto shards = shards_unlike_first([](const Hello& hello) { return hello.request; }))
    return refuse(Fault::shard_requests_differ, shards);
  if (const auto shards = shards_unlike_first([](const Hello& hello) { return hello.vocabulary; }))
    return refuse(Fault::shard_requests_differ, shards);
  std::uint64_t next = 0;
  for (std::uint32_t rank = 0; rank < hellos_.size(); ++rank) {
    if (hellos_[rank].first_id != next) return refuse(Fault::shard_ranges_differ, bit_of(rank));
    next += hellos_[rank].size;
  }
  if (next == hellos_[0].vocabulary) return std::nullopt;
  return refuse(Fault::shard_ranges_differ, bit_of(static_cast<std::uint32_t>(hellos_.size()) - 1));
}

std::optional<Failure> Call::first_fault() const {
  const auto first = std::ranges::min_element(hellos_, {}, &Hello::stage);
  if (first->stage == Stage::none) return std::nullopt;
  return Failure{first->fault, 0, first->fault_id};
}

Agreement Call::agree(Ordinal Hello::* top, std::uint32_t Hello::* top_id) const {
  const Hello& best = *std::ranges::max_element(hellos_, {}, top);  // the first of equals
  return {best.*top, best.*top_id, shard_.first_id, shard_.vocabulary};
}

bool Call::run_chain(ShardPipeline& pipeline, Draw draw, Choice& choice) const {
  for (const Op op : params_.chain.ops()) {
    if (op == Op::temperature && params_.temperature == 0) {
      choice = pipeline.greedy();
      return true;
    }
    if (op == Op::temperature) pipeline.set_temperature(params_.temperature);
    if (op == Op::top_k && params_.top_k > 0 && !pipeline.top_k(params_.top_k)) return false;
    if (op == Op::top_p && params_.top_p < 1 && !pipeline.top_p(params_.top_p)) return false;
    if (op == Op::min_p && params_.min_p > 0) pipeline.min_p(params_.min_p);
  }
  return pipeline.draw(draw.bits, choice);
}

/// Three sums over the shards: mass, the chosen logit (which one shard knows), masses above the cuts.
bool Call::record(const Choice& choice, FullRecord& full) {
  load_raw();
  if (!survey(raw_, buffers_.groups)) return false;
  const Agreement raw = agree(&Hello::raw_top, &Hello::raw_top_id);
  const Scale scale = Scale::of(value_of_ordinal(raw.top), 1);
  const std::uint32_t index = choice.id - shard_.first_id;
  const bool own = choice.id >= shard_.first_id && index < shard_.row.size;
  std::array<std::uint64_t, 2> sums = {mass_of(raw_, buffers_.groups, scale, buffers_.block_mass),
                                       own ? std::bit_cast<std::uint32_t>(raw_.row()[index]) : 0};
  if (!transport_.all_reduce_sum(sums)) return false;
  TailSums above = sums_above_cuts(raw_, scale, sums[0], buffers_);
  if (!transport_.all_reduce_sum(above)) return false;
  const auto logit = std::bit_cast<float>(static_cast<std::uint32_t>(sums[1]));
  full = make_full_record(raw.top, raw.top_id, logit, sums[0], above);
  return true;
}

Outcome Call::run(Draw draw, ShardOptions options, FullRecord* full) {
  const auto failed = std::unexpected(Failure{Fault::transport_failed});
  const std::uint64_t request = hash_of(params_, draw, options, full != nullptr);
  if (!exchange(greet(request))) return failed;
  if (const auto failure = disagreement()) return std::unexpected(*failure);
  const auto others = shards_unlike_first([](const Hello& hello) { return hello.dtype; });
  if (others != 0) {
    if (!options.round_to_coarsest)
      return std::unexpected(Failure{Fault::shard_dtypes_differ, 0, Failure::kNoId, others});
    rounded_to_ = std::ranges::max(hellos_, {}, &Hello::dtype).dtype;  // the types ascend in coarseness
    if (!exchange(greet(request))) return failed;
  }
  if (const auto failure = first_fault()) return std::unexpected(*failure);
  const Agreement agreement = agree(&Hello::top, &Hello::top_id);
  if (agreement.top == kForbiddenOrdinal) return std::unexpected(Failure{Fault::all_forbidden});
  ShardPipeline pipeline(blocks_, agreement, buffers_, transport_, messages_);
  Choice choice;
  if (!run_chain(pipeline, draw, choice)) return failed;
  if (full != nullptr && !record(choice, *full)) return failed;
  return choice;
}

}  // namespace

ShardWorkspace::ShardWorkspace(std::uint32_t vocabulary) : workspace_(vocabulary) {}

std::span<std::byte> ShardWorkspace::messages(std::uint32_t shards) {
  if (const std::size_t needed = shard_message_bytes(shards); messages_.size() < needed)
    messages_.resize(needed);
  return messages_;
}

std::size_t shard_message_bytes(std::uint32_t shards) {
  return sizeof(Hello) * shards + ShardPipeline::message_bytes(shards);
}

Outcome select_shard_in(Buffers& buffers, std::span<std::byte> messages, const Shard& shard,
                        const Params& params, Draw draw, Transport& transport, ShardOptions options,
                        FullRecord* full) {
  TK_ASSERT(messages.size() >= shard_message_bytes(transport.size()));
  return Call(shard, params, transport, buffers, messages).run(draw, options, full);
}

Outcome select_shard(const Shard& shard, const Params& params, Draw draw, Transport& transport,
                     ShardWorkspace& workspace, ShardOptions options, FullRecord* full) {
  return select_shard_in(workspace.buffers(), workspace.messages(transport.size()), shard, params, draw,
                         transport, options, full);
}

}  // namespace truekeel::select
