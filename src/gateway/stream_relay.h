// SPDX-License-Identifier: Apache-2.0
// Turns an endpoint's event stream into the client's, event by event. No I/O. Thread safety: one stream,
// one thread. Invariants: only whole events go out; a stream that did not reach its end gets the provider's
// error event as its last one, so that a part is never taken for the whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/anthropic_stream.h"
#include "protocol/errors.h"
#include "protocol/response_facts.h"
#include "protocol/sse.h"
#include "protocol/unasked.h"
#include "sentinel/tap.h"

namespace truekeel::gateway {

/// What the stream said of itself so far.
struct StreamFacts {
  std::uint64_t output_events = 0;  ///< events that carried text, reasoning or a tool call
  std::uint64_t choices_finished = 0;
  bool server_error = false;  ///< the endpoint itself sent an error event
  std::optional<protocol::Usage> usage;
  std::optional<std::uint64_t> predicted;  ///< tokens, by llama.cpp's timings
  std::string fingerprint;
  std::string finish_reason;
};

class StreamRelay {
 public:
  struct Client {
    protocol::Provider provider = protocol::Provider::openai;
    protocol::AnthropicIdentity identity;  ///< for Anthropic's clients
    std::string request_id;
    std::uint64_t choices = 1;       ///< how many the request asked for
    std::uint64_t input_tokens = 0;  ///< as far as known before the answer, for Anthropic's first event
    protocol::Unasked unasked = {};  ///< what it must not see, because the gateway alone asked for it
    sentinel::AnswerTap* tap =
        nullptr;  ///< takes the records, where the answer is audited; borrowed for life
  };
  explicit StreamRelay(Client client);

  /// Takes bytes as they arrive and appends what the client gets. Error::too_large when one event passes
  /// the parser's limit; call fail() then.
  Result<void> push(std::string_view bytes, std::string& out);

  /// The endpoint has closed its answer properly. False when the stream was not at its end: the error event
  /// is then in `out`.
  bool end(std::string& out);

  /// The stream cannot go on.
  void fail(const protocol::ApiError& error, std::string& out);

  [[nodiscard]] const StreamFacts& facts() const { return facts_; }

 private:
  void take(const protocol::SseBlock& block, std::string& out);
  void note(std::string_view data, const protocol::ResponseFacts& facts);

  const Client client_;
  protocol::SseParser parser_;
  protocol::ResponseReader reader_;
  std::optional<protocol::AnthropicStream> anthropic_;  // for Anthropic's clients
  StreamFacts facts_;
  bool done_ = false;
};

}  // namespace truekeel::gateway
