// SPDX-License-Identifier: Apache-2.0
#include "worker/inference_thread.h"

#include <chrono>
#include <utility>

namespace truekeel::worker {
namespace {

/// How long to wait when every job waits for its reader. Nothing announces the end of that wait; a reader
/// that lags by a whole backlog does not notice it.
constexpr auto kPause = std::chrono::milliseconds(5);

}  // namespace

InferenceThread::InferenceThread(engine::Engine& engine, std::uint32_t width_max, std::size_t queue,
                                 SelectionOptions selection, std::uint32_t given_piece, FaultInjector* faults)
    : scheduler_(engine, width_max, selection, given_piece, faults),
      queue_(queue),
      thread_([this] { run(); }) {}

InferenceThread::~InferenceThread() {
  stop();
  thread_.join();
}

void InferenceThread::stop() {
  stopping_ = true;
  queue_.close();
}

void InferenceThread::run() {
  while (!stopping_) {
    if (scheduler_.busy() == 0) {
      auto job = queue_.pop();
      if (!job) break;
      if ((*job)->sink->wanted()) scheduler_.admit(std::move(*job));
    }
    const Instant now = std::chrono::steady_clock::now();
    drop_waiting(now);
    admit_waiting();
    const auto step = scheduler_.step(now);
    publish(step);
    if (!step.worked() && scheduler_.busy() > 0) std::this_thread::sleep_for(kPause);
  }
  const Error closing{ErrorCode::unavailable, "the server is shutting down"};
  while (auto job = queue_.try_pop()) {
    (*job)->sink->end({.finish = Finish::failed, .error = closing}, "");
  }
  scheduler_.fail_all(closing);
}

/// Jobs that are late or unwanted leave their places in the queue to others.
void InferenceThread::drop_waiting(Instant now) {
  const auto dropped = queue_.take_if(
      [now](const std::unique_ptr<Job>& job) { return job->deadline <= now || !job->sink->wanted(); });
  for (const auto& job : dropped) {
    if (job->sink->wanted()) job->sink->end({.finish = Finish::failed, .error = deadline_passed()}, "");
  }
}

void InferenceThread::admit_waiting() {
  while (scheduler_.has_free_slot()) {
    auto job = queue_.try_pop();
    if (!job) return;
    if ((*job)->sink->wanted()) scheduler_.admit(std::move(*job));
  }
}

void InferenceThread::publish(const Scheduler::Step& step) {
  prompt_tokens_ += step.prefilled;
  completion_tokens_ += step.completed;
  decode_rows_ += step.decoded;
  steps_ += step.worked() ? 1 : 0;
  busy_slots_ = scheduler_.busy();
  if (step.prefilled + step.completed > 0 && step.failed == 0) progress_ = std::chrono::steady_clock::now();
}

Counters InferenceThread::counters() const {
  return {.prompt_tokens = prompt_tokens_,
          .completion_tokens = completion_tokens_,
          .steps = steps_,
          .decode_rows = decode_rows_,
          .busy_slots = busy_slots_,
          .waiting = static_cast<std::uint32_t>(queue_.size()),
          .progress = progress_};
}

}  // namespace truekeel::worker
