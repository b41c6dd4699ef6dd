// SPDX-License-Identifier: Apache-2.0
// The one thread that steps the model, and the queue in front of it.
// Thread safety: submit() and counters() from any thread; the rest from the owner's.
// Invariant: at most `queue` jobs wait; every job that was taken ends through its sink, or is unwanted.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "base/bounded_queue.h"
#include "base/time.h"
#include "engine/engine.h"
#include "worker/scheduler.h"

namespace truekeel::worker {

/// Sums since the start.
struct Counters {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::uint64_t steps = 0;        ///< of the scheduler
  std::uint64_t decode_rows = 0;  ///< slots stepped, over all steps
  std::uint32_t busy_slots = 0;   ///< now
  std::uint32_t waiting = 0;      ///< jobs in the queue, now
  Instant progress{};             ///< the last step that computed something, and nothing failed
};

class InferenceThread {
 public:
  /// `engine` is borrowed for life, and nobody else may use it but info() and vocabulary(); `faults` too.
  InferenceThread(engine::Engine& engine, std::uint32_t width_max, std::size_t queue,
                  SelectionOptions selection = {}, std::uint32_t given_piece = kGivenPiece,
                  FaultInjector* faults = nullptr);
  /// Fails what is left, and waits for the thread.
  ~InferenceThread();
  InferenceThread(const InferenceThread&) = delete;
  InferenceThread& operator=(const InferenceThread&) = delete;

  /// False when the queue is full.
  [[nodiscard]] bool submit(std::unique_ptr<Job> job) { return queue_.try_push(std::move(job)); }

  [[nodiscard]] Counters counters() const;

  /// Takes no further jobs and fails those that are left.
  void stop();

 private:
  void run();
  void drop_waiting(Instant now);
  void admit_waiting();
  void publish(const Scheduler::Step& step);

  Scheduler scheduler_;
  BoundedQueue<std::unique_ptr<Job>> queue_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> prompt_tokens_ = 0, completion_tokens_ = 0, steps_ = 0, decode_rows_ = 0;
  std::atomic<std::uint32_t> busy_slots_ = 0;
  std::atomic<Instant> progress_{};
  std::thread thread_;  // last: it uses the others
};

}  // namespace truekeel::worker
