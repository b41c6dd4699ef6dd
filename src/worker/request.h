// SPDX-License-Identifier: Apache-2.0
// Request bodies, read into jobs. Thread safety: pure functions.
// Invariant: a field that would change the answer is honoured or refused, never silently left out; fields
// that nobody knows are ignored, and null counts as absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/vocabulary.h"
#include "protocol/errors.h"
#include "worker/job.h"

namespace truekeel::worker {

/// What requests are checked against.
struct RequestLimits {
  std::string model;  ///< the only name that is served
  std::uint32_t vocabulary = 0;
  std::uint32_t choices_max = 1;
};

inline constexpr std::uint32_t kTopLogprobsMax = 20;

/// In fast mode a draw this near to a boundary may fall on either side. Above the largest distance of a clean
/// answer on another path (docs/worker-api.md).
inline constexpr double kReplayTolerance = 0.2;

/// A prompt as it was given: a conversation, a text, or tokens.
using Prompt = std::variant<std::vector<engine::Message>, std::string, std::vector<Token>>;

struct GenerateRequest {
  Prompt prompt;
  std::optional<std::uint32_t> max_tokens;
  Sampling sampling;
  bool has_seed = false;
  std::vector<std::string> stop;
  bool ignore_end = false;
  std::uint32_t choices = 1;
  bool logprobs = false;
  bool token_ids = false;  ///< beside the text
  std::uint32_t top = 0;
  Audit audit = Audit::none;
  bool stream = false;
  bool include_usage = false;  ///< at the end of a stream
};

struct ScoreRequest {
  Prompt prompt;
  std::variant<std::string, std::vector<Token>> continuation;
  std::uint32_t top = 0;
};

struct ReplayRequest {
  Prompt prompt;
  std::vector<Token> tokens;  ///< of the answer
  Sampling sampling;
  Mode mode = Mode::replay_exact;
  /// The first digits of the hash of the numerics that the answer came from, and the field that told them;
  /// empty: not told.
  std::string numerics, numerics_field;
  double tolerance = kReplayTolerance;  ///< of fast mode
};

struct TokenizeRequest {
  Prompt prompt;
  engine::TokenizeOptions options{.add_special = false, .parse_special = true};  ///< for a text
  std::optional<std::uint64_t> stop_above;
  bool with_tokens = true;
};

/// ApiError 400 that names the field, 404 for another model.
[[nodiscard]] protocol::ApiResult<GenerateRequest> parse_chat(const std::string& body,
                                                              const RequestLimits& limits);
[[nodiscard]] protocol::ApiResult<GenerateRequest> parse_completion(const std::string& body,
                                                                    const RequestLimits& limits);
[[nodiscard]] protocol::ApiResult<ScoreRequest> parse_score(const std::string& body,
                                                            const RequestLimits& limits);
[[nodiscard]] protocol::ApiResult<ReplayRequest> parse_replay(const std::string& body,
                                                              const RequestLimits& limits);
[[nodiscard]] protocol::ApiResult<TokenizeRequest> parse_tokenize(const std::string& body,
                                                                  const RequestLimits& limits);

}  // namespace truekeel::worker
