// SPDX-License-Identifier: Apache-2.0
// The life of a client's call: read, bounded, counted if need be, routed, attempted, answered.
// Thread safety: one proxy per thread; what they share is Shared.
#pragma once

#include <cstdint>

#include "base/philox.h"
#include "gateway/admission.h"
#include "gateway/attempt.h"
#include "gateway/shared.h"
#include "gateway/token_counter.h"
#include "http/client.h"
#include "http/server.h"

namespace truekeel::gateway {

class Proxy {
 public:
  /// `net` and `shared` are borrowed for life. `seed` makes the request ids, and decides which answers are
  /// audited.
  Proxy(http::Net& net, Shared& shared, std::uint64_t seed);

  /// Answers one call, whatever it is.
  http::Task<void> handle(http::Exchange& exchange);

  /// Whether who calls may: asked before the body is read.
  [[nodiscard]] bool knows_client(const http::RequestHead& request);

  /// Ends the streams under way with the provider's error event, and sends away who waits for room.
  void end_streams() {
    streams_.cancel_all();
    admission_.close();
  }

 private:
  http::Task<void> respond(ClientCall& call, WholeAnswer answer);
  http::Task<void> reject(ClientCall& call, const Rejection& rejection);
  http::Task<void> refuse(ClientCall& call, const protocol::ApiError& error);
  http::Task<void> answer(ClientCall& call);
  http::Task<void> dispatch(ClientCall& call);
  http::Task<void> deny(ClientCall& call, const fleet::Denial& denial);
  http::Task<void> list_models(ClientCall& call);
  http::Task<void> count_tokens(ClientCall& call, const Ask& ask, const fleet::ModelConfig& model,
                                const Vocabulary& vocabulary);
  http::Task<void> deliver(ClientCall& call, const Ask& ask, const fleet::Decision& decision);
  [[nodiscard]] bool try_again(const ClientCall& call, const AttemptResult& result, std::uint32_t attempt);
  void finish_record(ClientCall& call);

  http::Net& net_;
  Shared& shared_;
  http::Client client_;
  TokenCounter counter_;
  Admission admission_;
  OpenStreams streams_;
  PhiloxStream random_;
  protocol::JsonParser parser_;
  protocol::ResponseReader reader_;
};

/// How one of `threads` servers on the port for clients behaves; its own errors have the provider's shape.
[[nodiscard]] http::ServerOptions client_port_options(const fleet::Limits& limits, unsigned threads);

/// Whether an address is this machine's own.
[[nodiscard]] bool is_local_peer(std::string_view address);

}  // namespace truekeel::gateway
