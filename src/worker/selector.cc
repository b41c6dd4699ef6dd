// SPDX-License-Identifier: Apache-2.0
#include "worker/selector.h"

#include <algorithm>

#include "base/assert.h"
#include "select/rounding.h"

namespace truekeel::worker {

std::string_view dtype_name(select::DType dtype) { return dtype == select::DType::bf16 ? "bf16" : "fp32"; }

Selector::Selector(std::uint32_t vocabulary, SelectionOptions options)
    : vocabulary_(vocabulary), options_(options), workspace_(vocabulary) {
  TK_ASSERT(options.shards > 0 && options.dtype != select::DType::f16);
  if (options.shards > 1) team_ = std::make_unique<ShardTeam>(vocabulary, options.shards);
}

void Selector::select(std::span<const float> rows, std::span<const Question> questions) {
  TK_ASSERT(rows.size() == questions.size() * vocabulary_);
  rows_ = rows;
  if (options_.dtype != select::DType::f32) {
    // What a coarser type holds fp32 holds too: the shards need not know.
    rounded_.assign(rows.begin(), rows.end());
    select::round_all_to(options_.dtype, rounded_);
    rows_ = rounded_;
  }
  batch_ = {
      .data = rows_.data(), .rows = static_cast<std::uint32_t>(questions.size()), .vocabulary = vocabulary_};
  params_.clear();
  draws_.clear();
  for (const auto& question : questions) {
    params_.push_back(question.params);
    draws_.push_back(question.draw);
  }
  outcomes_.resize(questions.size());
  full_.resize(std::ranges::any_of(questions, &Question::full) ? questions.size() : 0);
  run(batch_, params_, draws_, outcomes_, full_);
}

void Selector::run(const select::Batch& batch, std::span<const select::Params> params,
                   std::span<const select::Draw> draws, std::span<select::Outcome> out,
                   std::span<select::FullRecord> full) {
  if (team_) return team_->select(batch, params, draws, out, full);
  const auto failed = select::select_batch(batch, params, draws, workspace_, out, full);
  TK_ASSERT(failed);  // the spans fit
}

select::Outcome Selector::again(std::size_t index, const select::Params& params, select::Draw draw) {
  auto one = batch_;
  one.rows = 1;
  one.data = batch_.row(static_cast<std::uint32_t>(index)).data;
  select::Outcome outcome;
  run(one, {&params, 1}, {&draw, 1}, {&outcome, 1}, {});
  return outcome;
}

}  // namespace truekeel::worker
