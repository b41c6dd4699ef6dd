// SPDX-License-Identifier: Apache-2.0
// Jobs and a sink for tests of this layer. For tests alone.
#pragma once

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/philox.h"
#include "worker/job.h"
#include "worker/scheduler.h"

namespace truekeel::worker {

/// Keeps everything; the test is reader and client in one.
struct KeptAnswer final : Sink {
  std::vector<TokenRecord> records;
  std::string text;
  std::vector<Ending> endings;
  bool is_wanted = true;
  std::size_t room = std::numeric_limits<std::size_t>::max();  ///< pauses after so many records

  void token(TokenRecord record, std::string shown) override {
    records.push_back(std::move(record));
    text += shown;
  }
  void end(const Ending& ending, std::string rest) override {
    endings.push_back(ending);
    text += rest;
  }
  [[nodiscard]] bool wanted() const override { return is_wanted; }
  [[nodiscard]] bool has_room() const override { return records.size() < room; }

  [[nodiscard]] bool ended() const { return !endings.empty(); }
  [[nodiscard]] std::vector<Token> tokens() const {
    std::vector<Token> ids;
    ids.reserve(records.size());
    for (const auto& record : records) ids.push_back(record.id);
    return ids;
  }
};

/// A job of any kind, from its seed: equal seeds give equal jobs.
inline Job random_job(std::uint64_t seed, std::uint32_t prompt_max = 200, std::uint32_t output_max = 40) {
  PhiloxStream random(seed);
  Job job;
  job.prompt.resize(1 + random.below(prompt_max));
  for (auto& token : job.prompt) token = static_cast<Token>(random.below(256));
  job.max_tokens = static_cast<std::uint32_t>(1 + random.below(output_max));
  job.sampling.temperature = static_cast<float>(random.below(4)) * 0.5f;
  job.sampling.top_k = random.below(2) == 0 ? 0 : 40;
  job.sampling.top_p = random.below(2) == 0 ? 1 : 0.9;
  job.sampling.frequency = random.below(3) == 0 ? 0.5f : 0;
  job.sampling.seed = random.next();
  job.sampling.stream = static_cast<std::uint32_t>(random.below(3));
  job.logprobs = random.below(2) == 0;
  job.top = job.logprobs ? static_cast<std::uint32_t>(random.below(21)) : 0;
  job.audit = static_cast<Audit>(random.below(3));
  return job;
}

/// Hands the job over and returns where its results go.
inline std::shared_ptr<KeptAnswer> admit(Scheduler& scheduler, Job job) {
  auto answer = std::make_shared<KeptAnswer>();
  job.sink = answer;
  scheduler.admit(std::make_unique<Job>(std::move(job)));
  return answer;
}

inline void run(Scheduler& scheduler) {
  while (scheduler.step().worked()) {
  }
}

/// The results of a job that has the engine to itself.
inline std::shared_ptr<KeptAnswer> run_alone(engine::Engine& engine, Job job,
                                             SelectionOptions selection = {}) {
  Scheduler scheduler(engine, engine.info().slots, selection);
  auto answer = admit(scheduler, std::move(job));
  run(scheduler);
  return answer;
}

}  // namespace truekeel::worker
