// SPDX-License-Identifier: Apache-2.0
#include "worker/scheduler.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"

namespace truekeel::worker {

using engine::Slot;

Scheduler::Scheduler(engine::Engine& engine, std::uint32_t width_max, SelectionOptions selection,
                     std::uint32_t given_piece, FaultInjector* faults)
    : engine_(engine),
      width_max_(width_max),
      sizes_{engine.info().numerics.ubatch, std::min(given_piece, engine.info().numerics.ubatch)},
      selector_(static_cast<std::uint32_t>(engine.vocabulary().size()), selection),
      faults_(faults),
      sequences_(engine.info().slots) {
  TK_ASSERT(width_max > 0 && given_piece > 0);
}

void Scheduler::admit(std::unique_ptr<Job> job) {
  TK_ASSERT(has_free_slot());
  TK_ASSERT(job->prompt.size() + job->max_tokens <= engine_.info().numerics.ctx);
  // The lowest free slot: engines step neighbouring slots best.
  const auto free = std::ranges::find_if(sequences_, [](const auto& each) { return !each; });
  *free = std::make_unique<Sequence>(std::move(job), engine_.vocabulary(), faults_);
  prefilling_.push_back(static_cast<Slot>(free - sequences_.begin()));
  ++busy_;
}

Scheduler::Step Scheduler::step(Instant now) {
  Step step;
  drop_unwanted(now, step);
  prefill_one(step);
  decode_all(step);
  return step;
}

void Scheduler::drop_unwanted(Instant now, Step& step) {
  for (Slot slot = 0; slot < sequences_.size(); ++slot) {
    auto* sequence = sequences_[slot].get();
    if (sequence == nullptr) continue;
    if (!sequence->wanted()) {
      release(slot, step);
    } else if (sequence->deadline() <= now) {
      sequence->fail(deadline_passed());
      release(slot, step);
    }
  }
}

void Scheduler::prefill_one(Step& step) {
  if (prefilling_.empty()) return;
  const auto slot = prefilling_.front();
  auto& sequence = *sequences_[slot];
  const auto piece = sequence.next_piece(sizes_);
  TK_ASSERT(piece);
  if (auto done = engine_.prefill(slot, piece->tokens, piece->rows); !done) {
    return fail(slot, std::move(done.error()), step);
  }
  step.prefilled += static_cast<std::uint32_t>(piece->tokens.size());
  sequence.piece_done(*piece);
  // One after the other: what is asked of a row may depend on the token before it.
  for (std::size_t row = 0; row < piece->rows; ++row) {
    selector_.select(engine_.row(row), std::array{sequence.question()});
    if (!take_row(slot, 0, step)) return;
  }
  if (!sequence.has_piece()) {
    prefilling_.pop_front();
  } else if (sequence.prompt_fed()) {
    std::ranges::rotate(prefilling_, prefilling_.begin() + 1);
  }
}

void Scheduler::decode_all(Step& step) {
  ready_.clear();
  for (Slot slot = 0; slot < sequences_.size(); ++slot) {
    const auto* sequence = sequences_[slot].get();
    if (sequence == nullptr || sequence->has_piece() || !sequence->has_room()) continue;
    ready_.push_back({slot, sequence->next_token()});
  }
  for (std::span<const engine::SlotToken> rest = ready_; !rest.empty();) {
    const auto width = std::min<std::size_t>(width_max_, rest.size());
    decode(rest.first(width), step);
    rest = rest.subspan(width);
  }
}

void Scheduler::decode(std::span<const engine::SlotToken> group, Step& step) {
  const auto done = engine_.decode(group);
  step.decoded += static_cast<std::uint32_t>(group.size());
  if (!done) {
    for (const auto& each : group) fail(each.slot, done.error(), step);
    return;
  }
  questions_.clear();
  for (const auto& each : group) questions_.push_back(sequences_[each.slot]->question());
  selector_.select(engine_.logits(), questions_);
  for (std::size_t index = 0; index < group.size(); ++index) (void)take_row(group[index].slot, index, step);
}

/// False when the job has ended.
bool Scheduler::take_row(Slot slot, std::size_t index, Step& step) {
  const auto outcome = sequences_[slot]->take_row(selector_, index);
  if (outcome == Sequence::Outcome::failed) {
    ++step.failed;
  } else {
    ++step.completed;
  }
  if (outcome == Sequence::Outcome::goes_on) return true;
  release(slot, step);
  return false;
}

void Scheduler::fail(Slot slot, Error error, Step& step) {
  sequences_[slot]->fail(std::move(error));
  ++step.failed;
  release(slot, step);
}

void Scheduler::release(Slot slot, Step& step) {
  engine_.release(slot);
  sequences_[slot].reset();
  std::erase(prefilling_, slot);
  --busy_;
  ++step.released;
}

void Scheduler::fail_all(const Error& error) {
  Step ignored;
  for (Slot slot = 0; slot < sequences_.size(); ++slot) {
    if (sequences_[slot]) fail(slot, error, ignored);
  }
}

}  // namespace truekeel::worker
