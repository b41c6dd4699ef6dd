// SPDX-License-Identifier: Apache-2.0
// What the inference thread is asked for, and what it gives back. Thread safety: plain values, but Sink.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "engine/vocabulary.h"
#include "select/params.h"
#include "select/record.h"

namespace truekeel::worker {

using engine::Token;

/// How tokens are chosen. The defaults are those of a request that says nothing.
struct Sampling {
  float temperature = 1;
  std::uint32_t top_k = 0;  ///< 0: off
  double top_p = 1;
  double min_p = 0;
  float presence = 0, frequency = 0;         ///< on the answer's own tokens
  std::vector<select::TokenBias> bias = {};  ///< ids ascending
  std::uint64_t seed = 0;    ///< with the token's place in the answer and `stream` it keys every draw
  std::uint32_t stream = 0;  ///< the choice among those of one request

  bool operator==(const Sampling&) const = default;
};

struct TopToken {
  Token id = 0;
  double logprob = 0;

  bool operator==(const TopToken&) const = default;
};

/// Which audit records an answer carries.
enum class Audit : std::uint8_t { none, basic, full };

/// One token of an answer.
struct TokenRecord {
  Token id = 0;
  std::uint32_t position = 0;  ///< in the answer, from 0
  // In the raw distribution, before bias, penalties, temperature and filters; where logprobs are wanted:
  double logprob = 0;
  std::uint32_t rank = 0;          ///< tokens before it, ties by id
  std::vector<TopToken> top = {};  ///< the most probable tokens, best first; as many as were asked for
  // How the token was chosen:
  select::Choice choice = {};
  select::FullRecord full = {};  ///< where the full audit is wanted
  /// Of a replayed token, whose choice is the one of the replay; see replay_distance().
  std::optional<double> distance = std::nullopt;

  bool operator==(const TokenRecord&) const = default;
};

enum class Finish : std::uint8_t {
  stop,    ///< an end token, or a stop string
  length,  ///< max_tokens
  failed,  ///< see the error
};

struct Ending {
  Finish finish = Finish::stop;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;  ///< every token that was sampled, or scored
  Error error = {};                     ///< when failed
};

/// Where the results of one job go. The inference thread calls it; it must be quick and never wait.
class Sink {
 public:
  virtual ~Sink() = default;

  /// The next token, and the text that may be shown now, perhaps empty.
  virtual void token(TokenRecord record, std::string text) = 0;
  /// The last call, unless the job was cancelled. `text` is what was held back.
  virtual void end(const Ending& ending, std::string text) = 0;

  /// False when nobody waits for the results any more: the job's slot is then freed within one step.
  [[nodiscard]] virtual bool wanted() const = 0;
  /// False while the reader lags: the job then pauses.
  [[nodiscard]] virtual bool has_room() const = 0;
};

enum class Mode : std::uint8_t {
  generate,
  score,         ///< where the given tokens stand in the raw distribution, by batched prefill
  replay_exact,  ///< selects in the place of every given token, along the path of generation
  replay_fast,   ///< the same by batched prefill
};

struct Job {
  Mode mode = Mode::generate;
  std::vector<Token> prompt;     ///< not empty
  std::uint32_t max_tokens = 1;  ///< at least 1; prompt and these fit the window
  Sampling sampling;
  std::vector<std::string> stop;
  bool ignore_end = false;  ///< goes on after an end token
  bool logprobs = false;    ///< whether records say where the token stands in the raw distribution
  std::uint32_t top = 0;    ///< tokens in TokenRecord::top
  Audit audit = Audit::none;
  std::vector<Token> given;           ///< to be scored or replayed; max_tokens is their number
  Instant deadline = Instant::max();  ///< the job fails when it has not ended by then
  std::shared_ptr<Sink> sink;
};

/// What a job fails with at its deadline.
[[nodiscard]] inline Error deadline_passed() {
  return {ErrorCode::timeout, "the deadline of the request has passed"};
}

}  // namespace truekeel::worker
