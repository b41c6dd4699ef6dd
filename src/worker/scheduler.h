// SPDX-License-Identifier: Apache-2.0
// Who steps when: continuous batching over the slots of an engine. Thread safety: the inference thread.
// Invariants: prompts are prefilled one at a time, alone, in fixed pieces, and pieces alternate with decode
// steps, so that a long prompt never stops the others for longer than one piece takes; given tokens (of a
// score or a fast replay) go piece by piece behind the prompts that wait; what a job gets depends on nothing
// but the job, as far as the engine's own invariant goes.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "worker/selector.h"
#include "worker/sequence.h"

namespace truekeel::worker {

/// Given tokens that are prefilled at once. Up to 63 rows llama.cpp attends with the kernel of a decode step,
/// and in small pieces the bits are mostly those of decoding.
inline constexpr std::uint32_t kGivenPiece = 32;

class Scheduler {
 public:
  /// `engine` is borrowed for life. At most `width_max` slots decode in one call of the engine. Given tokens
  /// go in pieces of `given_piece`, or of the engine's ubatch where that is less. `faults` of a drill act on
  /// every answer; borrowed for life.
  Scheduler(engine::Engine& engine, std::uint32_t width_max, SelectionOptions selection = {},
            std::uint32_t given_piece = kGivenPiece, FaultInjector* faults = nullptr);

  [[nodiscard]] bool has_free_slot() const { return busy_ < sequences_.size(); }
  [[nodiscard]] std::uint32_t busy() const { return busy_; }

  /// Requires: a free slot; the job fits the window.
  void admit(std::unique_ptr<Job> job);

  struct Step {
    std::uint32_t prefilled = 0;  ///< tokens of prompts
    std::uint32_t decoded = 0;    ///< slots that stepped
    std::uint32_t completed = 0;  ///< tokens that were sampled or scored
    std::uint32_t released = 0;   ///< slots that became free
    std::uint32_t failed = 0;     ///< jobs that the engine, or a row of it, failed

    /// False when nothing could be done: no job, or all of them wait for their readers.
    [[nodiscard]] bool worked() const { return prefilled + decoded + released > 0; }
  };
  /// Frees the slots of jobs that nobody wants or that are late, prefills one piece, and steps every answer
  /// once.
  Step step(Instant now = Instant::min());

  /// Ends every job.
  void fail_all(const Error& error);

 private:
  void drop_unwanted(Instant now, Step& step);
  void prefill_one(Step& step);
  void decode_all(Step& step);
  void decode(std::span<const engine::SlotToken> group, Step& step);
  [[nodiscard]] bool take_row(engine::Slot slot, std::size_t index, Step& step);
  void fail(engine::Slot slot, Error error, Step& step);
  void release(engine::Slot slot, Step& step);

  engine::Engine& engine_;
  const std::uint32_t width_max_;
  const Sequence::PieceSizes sizes_;
  Selector selector_;
  FaultInjector* const faults_;
  std::vector<std::unique_ptr<Sequence>> sequences_;  // by slot; null where free
  std::deque<engine::Slot> prefilling_;               // in order of admission
  std::uint32_t busy_ = 0;
  std::vector<engine::SlotToken> ready_;  // scratch, as is what follows
  std::vector<Question> questions_;
};

}  // namespace truekeel::worker
