// SPDX-License-Identifier: Apache-2.0
// Where the gateway's threads leave what they see of answers, for the one thread that audits them.
// Thread safety: TapQueue, every method, from any thread; an AnswerTap serves the thread of its answer.
// Invariants: nobody ever waits for room. Records that find none are counted as dropped; an answer's
// admission is refused before it begins, its end is never lost.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "evidence/draw_null.h"
#include "fleet/fleet.h"
#include "protocol/response_facts.h"

namespace truekeel::sentinel {

using AnswerId = std::uint64_t;

/// What is known of an answer before it begins.
struct Admission {
  fleet::EndpointId endpoint = 0;
  std::string context_class = {};
  std::uint64_t window = 0;      ///< of that class, in tokens
  std::string fingerprint = {};  ///< as last stated; empty: never
  std::string client_version = {};
  fleet::TokenRange prompt = {};
  std::uint64_t output_most = 0;          ///< tokens that the answer can have
  std::uint64_t client = 0, session = 0;  ///< keyed hashes
  bool streamed = false;
  evidence::Sampling sampling = {};
};

/// How an answer ended, as far as the gateway saw.
struct AnswerEnd {
  enum class How : std::uint8_t {
    complete,  ///< with everything that the server had to say
    cut,       ///< by the client or in mid-stream: what was not delivered was not looked at
    lost,      ///< whole answers that never came, though tokens may have been drawn
    refused,   ///< no token was drawn
  };
  How how = How::cut;
  std::optional<protocol::Usage> usage = {};
  std::optional<std::uint64_t> drawn = {};  ///< tokens of the answer, as the server counts them
  std::string finish_reason = {};           ///< empty: not stated
  std::string fingerprint = {};             ///< as stated by this answer
};

struct Admitted {
  AnswerId answer;
  Instant at;
  Admission about;
};
struct Records {
  AnswerId answer;
  std::string text;          ///< `logprobs`, then `audit`, as written
  std::size_t audit_at = 0;  ///< where the latter begins
  std::optional<std::uint64_t> seed;
};
struct Ended {
  AnswerId answer;
  AnswerEnd end = {};
  std::uint64_t dropped = 0;  ///< pieces of records for which there was no room
};
using Message = std::variant<Admitted, Records, Ended>;

struct TapLimits {
  std::size_t bytes = 64u << 20;    ///< of records that wait
  std::size_t answers = 1u << 15;   ///< under way, each of which still has an end to tell
  std::size_t messages = 1u << 18;  ///< that wait; beyond it nothing new is admitted
};

class TapQueue {
 public:
  explicit TapQueue(const TapLimits& limits = {}) : limits_(limits) {}

  /// Nothing when too much is under way already.
  [[nodiscard]] std::optional<AnswerId> admit(Instant at, Admission about);
  /// False when there is no room; the records are then gone.
  [[nodiscard]] bool records(Records&& records);
  void end(Ended&& ended);

  /// All that has come since the last call, in order, in the place of what was taken before. The room of that
  /// is filled next.
  void take(std::vector<Message>& messages);

 private:
  const TapLimits limits_;
  std::mutex mutex_;
  std::vector<Message> messages_;
  std::size_t bytes_ = 0;
  std::size_t under_way_ = 0;
  AnswerId next_ = 1;
};

/// One answer's tap. Tells the answer's end when it goes, if nobody has before.
class AnswerTap {
 public:
  AnswerTap(TapQueue& queue, AnswerId answer) : queue_(queue), answer_(answer) {}
  ~AnswerTap();
  AnswerTap(const AnswerTap&) = delete;
  AnswerTap& operator=(const AnswerTap&) = delete;

  /// Takes the records of an event, or of a whole answer. Cost: one copy of them.
  void take(std::string_view json, const protocol::ResponseFacts& facts);

  /// Requires: it has not ended.
  void end(AnswerEnd end);
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  TapQueue& queue_;
  const AnswerId answer_;
  std::optional<std::uint64_t> seed_;  // a stream states it in an event of its own
  std::uint64_t dropped_ = 0;
  bool ended_ = false;
};

}  // namespace truekeel::sentinel
