// SPDX-License-Identifier: Apache-2.0
// What the handlers of all routes share, and their answers in case of errors.
// Thread safety: the network's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "engine/tokenizer.h"
#include "http/server.h"
#include "protocol/errors.h"
#include "worker/fault.h"
#include "worker/fingerprint.h"
#include "worker/inference_thread.h"
#include "worker/metrics.h"
#include "worker/request.h"

namespace truekeel::worker {

struct Shared {
  boost::asio::io_context& context;
  http::Net& net;
  const engine::EngineInfo& info;
  const engine::Tokenizer& tokenizer;
  InferenceThread& inference;
  Metrics& metrics;
  const Fingerprint fingerprint;
  const RequestLimits limits;
  const std::int64_t started_s;
  const bool replays_exactly;   ///< whether decode steps give the bits of one slot alone
  FaultInjector* const faults;  ///< of a drill; null outside of drills
  bool draining = false;

  [[nodiscard]] const engine::Vocabulary& vocabulary() const { return tokenizer.vocabulary(); }
  [[nodiscard]] std::uint32_t ctx() const { return info.numerics.ctx; }
};

/// One request on its way through a handler.
struct Call {
  Shared& shared;
  http::Exchange& exchange;
  std::string_view route;
  Instant began;
  Instant deadline;  ///< that the client set; Instant::max() where it did not
};

/// Now and the x-truekeel-timeout-ms of a request; anything but a positive number of ms is ignored.
[[nodiscard]] Instant deadline_of(const http::Headers& headers, Instant now);

[[nodiscard]] http::Task<void> respond_json(Call& call, std::string body);
[[nodiscard]] http::Task<void> respond_error(Call& call, protocol::ApiError error);

/// Runs a job to its end and returns its records. Nothing when that failed or the client has left; the client
/// has then been answered. Sets the job's sink and deadline.
[[nodiscard]] http::Task<std::optional<std::vector<TokenRecord>>> collect(Call& call,
                                                                          std::unique_ptr<Job> job);

/// The 429 of a full queue.
[[nodiscard]] protocol::ApiError queue_full();
/// The error of a job as the client sees it.
[[nodiscard]] protocol::ApiError to_api_error(const Error& error);

/// The tokens of a prompt, with the `output` tokens that must follow it in the window.
/// ApiError 400: the template refuses it, it is empty, or does not fit (context_length_exceeded).
[[nodiscard]] protocol::ApiResult<std::vector<Token>> prompt_tokens(const Shared& shared,
                                                                    const Prompt& prompt,
                                                                    std::uint64_t output);

/// /v1/chat/completions and /v1/completions.
[[nodiscard]] http::Task<void> handle_generation(Call& call, bool chat);
/// /v1/score.
[[nodiscard]] http::Task<void> handle_score(Call& call);
/// /v1/replay.
[[nodiscard]] http::Task<void> handle_replay(Call& call);
/// /v1/fault. Requires: a drill.
[[nodiscard]] http::Task<void> handle_fault(Call& call);
/// /tokenize.
[[nodiscard]] http::Task<void> handle_tokenize(Call& call);

}  // namespace truekeel::worker
