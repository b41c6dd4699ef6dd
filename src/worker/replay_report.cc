// SPDX-License-Identifier: Apache-2.0
#include "worker/replay_report.h"

#include <algorithm>
#include <utility>

#include "protocol/json.h"
#include "worker/answer.h"
#include "worker/append.h"

namespace truekeel::worker {
namespace {

using protocol::ApiError;

bool differs(const TokenRecord& record) { return record.choice.id != static_cast<std::uint32_t>(record.id); }

/// A difference whose distance cannot be told is as far as can be.
bool counts(const TokenRecord& record, const ReplaySettings& settings) {
  if (!differs(record)) return false;
  return settings.mode == Mode::replay_exact || record.distance.value_or(1) > settings.tolerance;
}

std::string number(std::optional<double> value) { return value ? fmt::format("{:.7g}", *value) : "null"; }

void append_token(std::string& out, std::string_view name, Token id, const engine::Vocabulary& vocabulary) {
  append(out, ",\"{}\":{{\"id\":{},\"token\":", name, id);
  protocol::append_quoted(out, vocabulary.piece(id));
  out += '}';
}

void append_difference(std::string& out, const TokenRecord& record, const ReplaySettings& settings,
                       const engine::Vocabulary& vocabulary) {
  append(out, "{{\"position\":{}", record.position);
  append_token(out, "given", record.id, vocabulary);
  append_token(out, "selected", static_cast<Token>(record.choice.id), vocabulary);
  append(out, ",\"distance\":{},\"counts\":{}}}", number(record.distance), counts(record, settings));
}

ApiError conflict(std::string_view param, std::string_view code, std::string message) {
  return {
      .status = 409, .message = std::move(message), .param = std::string(param), .code = std::string(code)};
}

}  // namespace

std::optional<ApiError> replay_refusal(const ReplayRequest& request, const ReplayGround& ground) {
  if (request.mode != Mode::replay_exact) return std::nullopt;
  constexpr std::string_view kInstead =
      "Replay on a worker with equal numerics (GET /v1/fingerprint), or with \"mode\": \"fast\".";
  if (!ground.numerics.starts_with(request.numerics)) {
    return conflict(
        request.numerics_field, "numerics_differ",
        fmt::format("The answer came from numerics {}, this worker has {}: it computes other bits. {}",
                    request.numerics, ground.numerics, kInstead));
  }
  if (!ground.exact) {
    return conflict("mode", "replay_not_exact",
                    "On this machine and model the bits of a decode step depend on how many slots it has, so "
                    "that no difference would prove a fault. Start the worker with --exact, or replay with "
                    "\"mode\": \"fast\".");
  }
  return std::nullopt;
}

ReplaySummary summarise(std::span<const TokenRecord> records, const ReplaySettings& settings) {
  ReplaySummary summary;
  summary.tokens = static_cast<std::uint32_t>(records.size());
  for (const auto& record : records) {
    if (!differs(record)) continue;
    ++summary.different;
    summary.farthest = std::max(summary.farthest.value_or(0), record.distance.value_or(1));
    if (!counts(record, settings)) continue;
    ++summary.counted;
    if (!summary.first_counted) summary.first_counted = record.position;
  }
  return summary;
}

std::string write_replay(const ReplayHead& head, const ReplaySettings& settings,
                         std::span<const TokenRecord> records, std::uint32_t prompt_tokens,
                         const engine::Vocabulary& vocabulary) {
  const auto summary = summarise(records, settings);
  const bool exact = settings.mode == Mode::replay_exact;
  std::string out = R"({"object":"replay","model":)";
  protocol::append_quoted(out, head.model);
  append(out, R"(,"mode":"{}","verdict":"{}","summary":{{"tokens":{},"different":{},"counted":{})",
         exact ? "exact" : "fast", summary.verdict(), summary.tokens, summary.different, summary.counted);
  append(out, R"(,"first_counted":{},"farthest":{},"tolerance":{}}})",
         summary.first_counted ? fmt::format("{}", *summary.first_counted) : "null", number(summary.farthest),
         exact ? "0" : fmt::format("{:.7g}", settings.tolerance));
  append(out, R"(,"system_fingerprint":"{}","numerics":"{}","numerics_checked":{},"differences":[)",
         head.fingerprint, head.numerics, head.numerics_checked);
  const char* comma = "";
  for (const auto& record : records) {
    if (!differs(record)) continue;
    out += std::exchange(comma, ",");
    append_difference(out, record, settings, vocabulary);
  }
  out += "],\"positions\":[";
  comma = "";
  for (const auto& record : records) {
    append(out, "{}[{},{}]", std::exchange(comma, ","), differs(record) ? 0 : 1, number(record.distance));
  }
  out += "],";
  append_usage(out, {prompt_tokens, summary.tokens});
  out += '}';
  return out;
}

}  // namespace truekeel::worker
