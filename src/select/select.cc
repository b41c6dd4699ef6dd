// SPDX-License-Identifier: Apache-2.0
#include "select/select.h"

#include <new>
#include <utility>

#include "base/assert.h"
#include "select/check.h"
#include "select/edits.h"
#include "select/full_record.h"
#include "select/pipeline.h"
#include "select/weight.h"

namespace truekeel::select {
namespace {

Choice run(Pipeline& pipeline, const Params& params, Draw draw) {
  for (const Op op : params.chain.ops()) {
    switch (op) {
      case Op::bias:
      case Op::penalties:
      case Op::mask:
        break;  // done on the row
      case Op::temperature:
        if (params.temperature == 0) return pipeline.greedy();
        pipeline.set_temperature(params.temperature);
        break;
      case Op::top_k:
        if (params.top_k > 0) pipeline.top_k(params.top_k);
        break;
      case Op::top_p:
        if (params.top_p < 1) pipeline.top_p(params.top_p);
        break;
      case Op::min_p:
        if (params.min_p > 0) pipeline.min_p(params.min_p);
        break;
    }
  }
  return pipeline.draw(draw.bits);
}

}  // namespace

Outcome select_in(Buffers& buffers, const Row& row, const Params& params, Draw draw, FullRecord* full) {
  if (const auto failure = check(params, row.size)) return std::unexpected(*failure);
  if (row.size > buffers.vocabulary) return std::unexpected(Failure{Fault::workspace_too_small});
  const Blocks raw = blocks_of(row, TailBuffer(buffers.tail, TailBuffer::extent));
  auto raw_survey = survey(raw, buffers.groups);
  if (!raw_survey) return std::unexpected(raw_survey.error());
  const bool edited = edits_logits(params);
  const Blocks blocks = edited ? apply_edits(raw, params, 0, buffers.edited) : raw;
  const auto own_survey = edited ? survey(blocks, buffers.groups) : raw_survey;
  if (!own_survey) return std::unexpected(own_survey.error());
  if (own_survey->top == kForbiddenOrdinal) return std::unexpected(Failure{Fault::all_forbidden});
  Pipeline pipeline(blocks, *own_survey, buffers);
  const Choice choice = run(pipeline, params, draw);
  if (full == nullptr) return choice;
  if (edited) raw_survey = survey(raw, buffers.groups);  // the groups of the raw row again
  const auto mass = edited ? std::nullopt : pipeline.mass_at_one();
  *full = full_record(raw, raw_survey->top, mass, choice.id, buffers);
  return choice;
}

struct Workspace::State {
  explicit State(std::uint32_t vocabulary)
      : memory(static_cast<std::byte*>(::operator new(Buffers::bytes(vocabulary), kAlignment))),
        buffers(Buffers::place(memory, vocabulary)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ::operator delete(memory, kAlignment); }

  static constexpr std::align_val_t kAlignment{Buffers::kAlignment};
  std::byte* memory;
  Buffers buffers;
};

Workspace::Workspace(std::uint32_t vocabulary) {
  TK_ASSERT(vocabulary <= kVocabularyMax);
  state_ = std::make_unique<State>(vocabulary);
}
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace& Workspace::operator=(Workspace&&) noexcept = default;
Workspace::~Workspace() = default;
Buffers& Workspace::buffers() { return state_->buffers; }

Outcome select(const Row& row, const Params& params, Draw draw, Workspace& workspace, FullRecord* full) {
  return select_in(workspace.buffers(), row, params, draw, full);
}

std::expected<std::uint32_t, Failure> select_batch(const Batch& batch, std::span<const Params> params,
                                                   std::span<const Draw> draws, Workspace& workspace,
                                                   std::span<Outcome> out, std::span<FullRecord> full) {
  const bool fits = (batch.stride == 0 || batch.stride >= batch.vocabulary) && draws.size() == batch.rows &&
                    out.size() == batch.rows && (params.size() == batch.rows || params.size() == 1) &&
                    (full.empty() || full.size() == batch.rows);
  if (!fits) return std::unexpected(Failure{Fault::bad_batch});
  std::uint32_t failed = 0;
  for (std::uint32_t row = 0; row < batch.rows; ++row) {
    out[row] = select(batch.row(row), params[params.size() == 1 ? 0 : row], draws[row], workspace,
                      full.empty() ? nullptr : &full[row]);
    if (out[row]) continue;
    out[row].error().row = row;
    ++failed;
  }
  return failed;
}

}  // namespace truekeel::select
