// SPDX-License-Identifier: Apache-2.0
// /v1/replay.
#include <fmt/format.h>

#include <utility>

#include "worker/replay_report.h"
#include "worker/shared.h"

namespace truekeel::worker {
namespace {

using protocol::ApiError;

ApiError conflict(std::string_view param, std::string_view code, std::string message) {
  return {
      .status = 409, .message = std::move(message), .param = std::string(param), .code = std::string(code)};
}

/// Why this worker cannot compute the bits that the answer came from.
std::optional<ApiError> refusal(const Shared& shared, const ReplayRequest& request) {
  if (request.mode != Mode::replay_exact) return std::nullopt;
  constexpr std::string_view kInstead =
      "Replay on a worker with equal numerics (GET /v1/fingerprint), or with \"mode\": \"fast\".";
  const auto& own = shared.fingerprint.numerics;
  if (!own.starts_with(request.numerics)) {
    return conflict(
        request.numerics_field, "numerics_differ",
        fmt::format("The answer came from numerics {}, this worker has {}: it computes other bits. {}",
                    request.numerics, own, kInstead));
  }
  if (request.dtype && *request.dtype != shared.selection.dtype) {
    return conflict("dtype", "dtype_differs",
                    fmt::format("The answer was selected in {}, this worker selects in {}. {}",
                                dtype_name(*request.dtype), dtype_name(shared.selection.dtype), kInstead));
  }
  if (!shared.replays_exactly) {
    return conflict("mode", "replay_not_exact",
                    "On this machine and model the bits of a decode step depend on how many slots it has, so "
                    "that no difference would prove a fault. Start the worker with --exact, or replay with "
                    "\"mode\": \"fast\".");
  }
  return std::nullopt;
}

}  // namespace

http::Task<void> handle_replay(Call& call) {
  auto& shared = call.shared;
  auto request = parse_replay(call.exchange.body(), shared.limits);
  if (!request) {
    co_await respond_error(call, request.error());
    co_return;
  }
  if (auto refused = refusal(shared, *request)) {
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
