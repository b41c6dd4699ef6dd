// SPDX-License-Identifier: Apache-2.0
// /v1/replay.
#include <utility>

#include "worker/replay_report.h"
#include "worker/shared.h"

namespace truekeel::worker {
http::Task<void> handle_replay(Call& call) {
  auto& shared = call.shared;
  auto request = parse_replay(call.exchange.body(), shared.limits);
  if (!request) {
    co_await respond_error(call, request.error());
    co_return;
  }
  if (auto refused = replay_refusal(
          *request, {.numerics = shared.fingerprint.numerics, .exact = shared.replays_exactly})) {
    co_await respond_error(call, std::move(*refused));
    co_return;
  }
  auto prompt = prompt_tokens(shared, request->prompt, request->tokens.size());
  if (!prompt) {
    co_await respond_error(call, prompt.error());
    co_return;
  }
  const auto prompt_size = static_cast<std::uint32_t>(prompt->size());
  auto job = std::make_unique<Job>();
  job->mode = request->mode;
  job->prompt = std::move(*prompt);
  job->max_tokens = static_cast<std::uint32_t>(request->tokens.size());
  job->given = std::move(request->tokens);
  job->sampling = std::move(request->sampling);
  const auto records = co_await collect(call, std::move(job));
  if (!records) co_return;
  const ReplayHead head = {.model = shared.limits.model,
                           .fingerprint = shared.fingerprint.name,
                           .numerics = shared.fingerprint.numerics,
                           .numerics_checked = !request->numerics.empty()};
  co_await respond_json(call, write_replay(head, {request->mode, request->tolerance}, *records, prompt_size,
                                           shared.vocabulary()));
}

}  // namespace truekeel::worker
