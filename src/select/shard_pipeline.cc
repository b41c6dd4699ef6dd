// SPDX-License-Identifier: Apache-2.0
#include "select/shard_pipeline.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/assert.h"
#include "select/bracket.h"
#include "select/draw.h"
#include "select/mass.h"
#include "select/survey.h"
#include "select/topk.h"

namespace truekeel::select {

ShardPipeline::ShardPipeline(const Blocks& blocks, Agreement agreement, Buffers& buffers,
                             Transport& transport, std::span<std::byte> messages)
    : blocks_(blocks),
      agreement_(agreement),
      buffers_(buffers),
      transport_(transport),
      messages_(messages),
      scale_(Scale::of(value_of_ordinal(agreement.top), 1)) {
  TK_ASSERT(agreement.top > kForbiddenOrdinal && agreement.vocabulary <= buffers.vocabulary);
  TK_ASSERT(messages.size() >= message_bytes(transport.size()));
}

void ShardPipeline::set_temperature(float temperature) { scale_ = Scale::of(scale_.max, temperature); }

/// This shard's best, in id order.
void ShardPipeline::find_best(std::uint32_t wanted, Best& best) {
  Candidates& list = buffers_.list;
  list.count = 0;
  const auto groups = buffers_.groups.first(static_cast<std::size_t>(blocks_.count()) * kGroups);
  select::top_k(blocks_, groups, wanted, buffers_.scratch.ordinals, list);
  best.unsent = kForbiddenOrdinal;
  if (list.count == wanted) best.unsent = std::ranges::min(list.all());
  retain(list, cut_);
  best.count = list.count;
  for (std::uint32_t i = 0; i < list.count; ++i)
    best.entries[i] = {list.ordinals[i], list.ids[i] + agreement_.first_id};
}

/// Makes the list of every shard's best. All kept elements above `unsent` are in it.
bool ShardPipeline::gather_best(std::uint32_t wanted, Ordinal& unsent) {
  TK_ASSERT(wanted <= kSent);
  Best best{};
  find_best(wanted, best);
  const std::size_t size = offsetof(Best, entries) + wanted * sizeof(Entry);
  const auto all = messages_.first(size * transport_.size());
  if (!transport_.all_gather(std::as_bytes(std::span(&best, 1)).first(size), all)) return false;
  Candidates& list = buffers_.list;
  list.count = 0;
  unsent = kForbiddenOrdinal;
  for (std::uint32_t rank = 0; rank < transport_.size(); ++rank) {
    std::memcpy(&best, all.data() + rank * size, size);
    unsent = std::max(unsent, best.unsent);
    for (std::uint32_t i = 0; i < best.count; ++i, ++list.count) {
      list.ordinals[list.count] = best.entries[i].ordinal;
      list.ids[list.count] = best.entries[i].id;
    }
  }
  return true;
}

/// Cuts what is kept where it reaches `needed`, by histograms; equals go to the lower ids, shard by shard.
bool ShardPipeline::cut_at(Measure measure, std::uint64_t needed) {
  const auto found = threshold_over_shards(blocks_, buffers_, cut_, scale_, measure, needed, transport_);
  if (!found) return false;
  const std::uint64_t each =
      measure == Measure::count ? 1 : weight_of(value_of_ordinal(found->ordinal), scale_);
  const std::uint64_t ties = (needed - found->above + each - 1) / each;
  Candidates& list = buffers_.list;
  list.count = 0;
  collect_equal(blocks_, buffers_.groups, found->ordinal, list);
  retain(list, cut_);
  std::uint64_t before = list.count;
  if (!transport_.exclusive_scan(before)) return false;
  const auto own =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(ties - std::min(before, ties), list.count));
  cut_ = {found->ordinal, own > 0 ? list.ids[own - 1] : 0, own > 0};
  return true;
}

bool ShardPipeline::top_k(std::uint32_t k) {
  if (listed_) {
    top_k_of(buffers_.list, k, buffers_.scratch.ordinals);
    return true;
  }
  if (k >= agreement_.vocabulary) return true;
  if (k <= kSent) {
    Ordinal unsent;
    if (!gather_best(k, unsent)) return false;
    listed_ = true;
    return top_k(k);
  }
  std::uint64_t count = measure_kept().count;
  if (!transport_.all_reduce_sum({&count, 1})) return false;
  return count <= k || cut_at(Measure::count, k);
}

bool ShardPipeline::top_p(double share) {
  if (listed_) {
    top_p_of(buffers_.list, scale_, share, buffers_.scratch);
    return true;
  }
  std::uint64_t mass = measure_kept().mass;
  if (!transport_.all_reduce_sum({&mass, 1})) return false;
  const std::uint64_t needed = needed_of(share, mass);
  Ordinal unsent;
  if (!gather_best(kSent, unsent)) return false;
  Candidates& list = buffers_.list;
  retain(list, {unsent, 0, false});
  if (weights_of(list.all(), scale_, buffers_.scratch.weights.first(list.count)) < needed)
    return cut_at(Measure::mass, needed);
  keep_mass(list, scale_, needed, buffers_.scratch);
  listed_ = true;
  return true;
}

void ShardPipeline::min_p(double share) {
  const Ordinal least = ordinal_with_weight(std::max<std::uint64_t>(1, share_of(share, kWeightMax)), scale_);
  if (listed_)
    retain(buffers_.list, Cut::at_least(least));
  else if (least > cut_.threshold)
    cut_ = Cut::at_least(least);
}

/// What this shard keeps; writes block_mass.
ShardPipeline::Part ShardPipeline::measure_kept() {
  Candidates& list = buffers_.list;
  list.count = 0;
  const Bracket equals{cut_.ties ? cut_.threshold : cut_.threshold + 1, cut_.threshold + 1};
  const Above above = sum_above(blocks_, buffers_.groups, scale_, equals, false, buffers_.block_mass, list);
  retain(list, cut_);
  Part part{above.mass, above.count + list.count};
  if (list.count == 0) return part;
  const std::uint64_t each = weight_of(value_of_ordinal(cut_.threshold), scale_);
  for (std::uint32_t i = 0; i < list.count; ++i) buffers_.block_mass[list.ids[i] / kBlock] += each;
  part.mass += each * list.count;
  return part;
}

bool ShardPipeline::draw(std::uint64_t bits, Choice& choice) {
  if (!listed_) return draw_over_shards(bits, choice);
  choice = draw_from_list(buffers_.list, agreement_.top, scale_, bits, buffers_.scratch.weights);
  return true;
}

/// The shard whose part holds the point finds the token and tells the others.
bool ShardPipeline::draw_over_shards(std::uint64_t bits, Choice& choice) {
  const Part own = measure_kept();
  const auto all = messages_.first(sizeof(Part) * transport_.size());
  if (!transport_.all_gather(std::as_bytes(std::span(&own, 1)), all)) return false;
  const auto part_of = [&](std::uint32_t rank) {
    Part part;
    std::memcpy(&part, all.data() + rank * sizeof part, sizeof part);
    return part;
  };
  std::uint64_t mass = 0, count = 0;
  for (std::uint32_t rank = 0; rank < transport_.size(); ++rank) {
    mass += part_of(rank).mass;
    count += part_of(rank).count;
  }
  const std::uint64_t point = scale_bits(bits, mass);
  std::uint64_t begin = 0;
  std::uint32_t owner = 0;
  while (begin + part_of(owner).mass <= point) begin += part_of(owner++).mass;

  Hit hit;
  if (owner == transport_.rank()) {
    hit = find_point(blocks_, scale_, cut_, buffers_.block_mass, point - begin);
    hit.id += agreement_.first_id;
    hit.begin += begin;
    hit.end += begin;
  }
  if (!transport_.broadcast(std::as_writable_bytes(std::span(&hit, 1)), owner)) return false;
  std::uint64_t before = rank_here(hit.ordinal, hit.id);
  if (!transport_.all_reduce_sum({&before, 1})) return false;
  choice = {.id = hit.id,
            .rank = static_cast<std::uint32_t>(before),
            .key_margin = key_distance(agreement_.top, hit.ordinal),
            .kept_count = static_cast<std::uint32_t>(count),
            .kept_weight = mass,
            .begin = hit.begin,
            .end = hit.end};
  return true;
}

/// How many tokens of this shard stand before that one.
std::uint64_t ShardPipeline::rank_here(Ordinal ordinal, std::uint32_t id) const {
  if (id < agreement_.first_id) return count_at_least(blocks_, buffers_.groups, ordinal + 1);
  if (id - agreement_.first_id >= blocks_.size) return count_at_least(blocks_, buffers_.groups, ordinal);
  return rank_of(blocks_, buffers_.groups, ordinal, id - agreement_.first_id);
}

Choice ShardPipeline::greedy() const {
  return {.id = agreement_.top_id, .kept_count = 1, .kept_weight = kWeightMax, .end = kWeightMax};
}

}  // namespace truekeel::select
