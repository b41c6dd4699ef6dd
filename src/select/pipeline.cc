// SPDX-License-Identifier: Apache-2.0
#include "select/pipeline.h"

#include <algorithm>

#include "base/assert.h"
#include "select/bracket.h"
#include "select/draw.h"
#include "select/mass.h"
#include "select/topk.h"

namespace truekeel::select {

Pipeline::Pipeline(const Blocks& blocks, const Survey& survey, Buffers& buffers)
    : blocks_(blocks),
      survey_(survey),
      buffers_(buffers),
      scale_(Scale::of(value_of_ordinal(survey.top), 1)) {
  TK_ASSERT(survey.top > kForbiddenOrdinal && blocks.size <= buffers.vocabulary);
  buffers_.list.count = 0;
}

void Pipeline::set_temperature(float temperature) {
  temperature_ = temperature;
  scale_ = Scale::of(scale_.max, temperature);
}

void Pipeline::top_k(std::uint32_t k) {
  switch (form_) {
    case Form::list:
      top_k_of(buffers_.list, k, buffers_.scratch.ordinals);
      return;
    case Form::prefix:
      if (prefix_.count <= k) return;
      break;
    case Form::whole:
      if (blocks_.size <= k) return;
      break;
  }
  // The k best of a prefix are the k best of the row.
  buffers_.list.count = 0;
  select::top_k(blocks_, groups(), k, buffers_.scratch.ordinals, buffers_.list);
  form_ = Form::list;
}

void Pipeline::top_p(double share) {
  if (form_ == Form::prefix) make_list(prefix_.cut.threshold);
  if (form_ == Form::list) return top_p_of(buffers_.list, scale_, share, buffers_.scratch);
  const std::uint64_t mass = whole_mass();
  const auto prefix = select::top_p(blocks_, groups(), scale_, mass, needed_of(share, mass),
                                    buffers_.block_mass, buffers_.scratch, buffers_.list);
  form_ = prefix ? Form::prefix : Form::list;
  if (!prefix) return;
  prefix_ = *prefix;
  prefix_temperature_ = temperature_;
}

void Pipeline::min_p(double share) {
  const Ordinal least = ordinal_with_weight(std::max<std::uint64_t>(1, share_of(share, kWeightMax)), scale_);
  if (form_ == Form::list) return retain(buffers_.list, Cut::at_least(least));
  if (form_ == Form::whole && groups_at_least(groups(), least) > blocks_.count()) return keep_at_least(least);
  make_list(least);
}

/// Turns a whole row into the prefix of its elements of at least this, which are many.
void Pipeline::keep_at_least(Ordinal least) {
  buffers_.list.count = 0;
  const Above above =
      sum_above(blocks_, buffers_.groups, scale_, {least, least}, false, buffers_.block_mass, buffers_.list);
  prefix_ = {Cut::at_least(least), above.mass, above.count};
  prefix_temperature_ = temperature_;
  form_ = Form::prefix;
}

std::uint64_t Pipeline::whole_mass() {
  const std::uint64_t mass = mass_of(blocks_, buffers_.groups, scale_, buffers_.block_mass);
  if (temperature_ == 1) mass_at_one_ = mass;
  return mass;
}

/// Turns a whole row or a prefix into the list of its elements of at least this.
void Pipeline::make_list(Ordinal least) {
  const Cut cut = form_ == Form::prefix ? prefix_.cut : Cut::everything();
  buffers_.list.count = 0;
  collect(blocks_, buffers_.groups, std::max({least, cut.threshold, kForbiddenOrdinal + 1}), buffers_.list);
  if (form_ == Form::prefix) retain(buffers_.list, cut);
  form_ = Form::list;
}

Choice Pipeline::draw(std::uint64_t bits) {
  if (form_ == Form::prefix && prefix_temperature_ != temperature_) make_list(prefix_.cut.threshold);
  switch (form_) {
    case Form::list:
      break;
    case Form::prefix:
      return draw_from_blocks(bits, prefix_.mass, prefix_.count, prefix_.cut);
    case Form::whole: {
      const std::uint32_t count = survey_.all_allowed
                                      ? blocks_.size
                                      : count_at_least(blocks_, buffers_.groups, kForbiddenOrdinal + 1);
      return draw_from_blocks(bits, whole_mass(), count, Cut::everything());
    }
  }
  return draw_from_list(buffers_.list, survey_.top, scale_, bits, buffers_.scratch.weights);
}

Choice Pipeline::draw_from_blocks(std::uint64_t bits, std::uint64_t mass, std::uint32_t count, Cut cut) {
  const Hit hit = find_point(blocks_, scale_, cut, buffers_.block_mass, scale_bits(bits, mass));
  return {.id = hit.id,
          .rank = rank_of(blocks_, buffers_.groups, hit.ordinal, hit.id),
          .key_margin = key_distance(survey_.top, hit.ordinal),
          .kept_count = count,
          .kept_weight = mass,
          .begin = hit.begin,
          .end = hit.end};
}

Choice Pipeline::greedy() const {
  return {.id = first_with(blocks_, buffers_.groups, survey_.top),
          .kept_count = 1,
          .kept_weight = kWeightMax,
          .end = kWeightMax};
}

}  // namespace truekeel::select
