// SPDX-License-Identifier: Apache-2.0
// One attempt to have one endpoint answer one call. Thread safety: one thread.
// Invariant: either something of an answer has gone to the client (delivered), or nothing has and `answer`
// says what would.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/philox.h"
#include "fleet/fleet.h"
#include "gateway/ask.h"
#include "gateway/metrics.h"
#include "gateway/shared.h"
#include "http/client.h"
#include "http/server.h"
#include "protocol/response_facts.h"
#include "sentinel/sentinel.h"

namespace truekeel::gateway {

/// One call of a client, from its arrival to its end.
struct ClientCall {
  http::Exchange& exchange;
  Route route;
  std::string id;            ///< x-truekeel-request-id, also sent upstream
  std::uint64_t client = 0;  ///< as of client_hash
  Instant arrived{};
  std::optional<Instant> deadline;  ///< the client's own
  bool explain = false;
  CallRecord record;
};

/// An answer that fits into memory.
struct WholeAnswer {
  int status = 502;
  http::Headers headers;
  std::string body;
};

/// An error of ours in the shape of the client's API.
[[nodiscard]] WholeAnswer error_answer(const ClientCall& call, const protocol::ApiError& error);

/// The headers that every answer carries.
void add_own_headers(const ClientCall& call, http::Headers& headers);

struct AttemptResult {
  fleet::Outcome outcome = fleet::Outcome::success;
  bool delivered = false;
  WholeAnswer answer;  ///< when not delivered; status 2xx: whole and good
};

/// Streams under way on one thread, so that a shutdown can end them with an error event.
class OpenStreams {
 public:
  void cancel_all();

 private:
  friend class Attempt;
  std::set<http::Call*> calls_;
  bool closing_ = false;
};

class Attempt {
 public:
  /// All are borrowed until run() returns. `random` decides which answers are audited.
  Attempt(http::Net& net, http::Client& client, Shared& shared, OpenStreams& streams,
          protocol::ResponseReader& reader, PhiloxStream& random)
      : net_(net), client_(client), shared_(shared), streams_(streams), reader_(reader), random_(random) {}

  /// Requires: Fleet::begin() let the request go there; ends it.
  http::Task<AttemptResult> run(ClientCall& call, const Ask& ask, const fleet::Decision& decision,
                                const fleet::Candidate& candidate);

 private:
  struct Where;
  /// Asks again where the endpoint did not know a field that the gateway had added, at most once for each.
  http::Task<AttemptResult> ask_without_added(ClientCall& call, const Ask& ask, Where& where,
                                              AttemptResult result);
  /// Decides whether the answer is audited.
  void look_at(ClientCall& call, const Ask& ask, Where& where);
  [[nodiscard]] std::expected<std::unique_ptr<sentinel::Look>, sentinel::Skip> admit(const ClientCall& call,
                                                                                     const Ask& ask,
                                                                                     const Where& where);
  http::Task<AttemptResult> send(ClientCall& call, const Ask& ask, const Where& where);
  http::Task<AttemptResult> whole(ClientCall& call, const Ask& ask, const Where& where,
                                  http::Call& upstream_call);
  http::Task<AttemptResult> stream(ClientCall& call, const Ask& ask, const Where& where,
                                   http::Call& upstream_call);
  http::Task<fleet::Outcome> pump(ClientCall& call, const Where& where, http::Call& upstream_call,
                                  class StreamRelay& relay);
  [[nodiscard]] AttemptResult failed(const ClientCall& call, const Where& where,
                                     const http::CallError& error) const;
  [[nodiscard]] protocol::ApiError describe(const ClientCall& call, const Where& where,
                                            const http::CallError& error) const;
  [[nodiscard]] fleet::Outcome outcome_of(const ClientCall& call, const http::CallError& error) const;
  void note_output(ClientCall& call, const Where& where) const;

  http::Net& net_;
  http::Client& client_;
  Shared& shared_;
  OpenStreams& streams_;
  protocol::ResponseReader& reader_;
  PhiloxStream& random_;
};

}  // namespace truekeel::gateway
