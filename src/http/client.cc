// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "http/wire.h"

namespace truekeel::http {
namespace {

// False when the request cannot be written without changing its meaning.
bool put_request(std::string& out, const Endpoint& to, const RequestHead& head, std::size_t body_bytes) {
  out.clear();
  if (!is_token(head.method) || !is_graphic(head.target)) return false;
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  if (!head.headers.find("host")) out.append("host: ").append(authority(to)).append("\r\n");
  const HopByHop hop_by_hop(head.headers);
  for (const Field field : head.headers) {
    // An expectation is met: the body is here, and goes with the head.
    if (hop_by_hop(field.name) || equal_ignoring_case(field.name, "content-length") ||
        equal_ignoring_case(field.name, "expect")) {
      continue;
    }
    if (!append_field(out, field)) return false;
  }
  const bool wants_length =
      body_bytes > 0 || head.method == "POST" || head.method == "PUT" || head.method == "PATCH";
  if (wants_length) {
    out += "content-length: ";
    append_decimal(out, body_bytes);
    out += "\r\n";
  }
  out += "\r\n";
  return true;
}

}  // namespace

Client::Client(Net& net, ClientOptions options) : core_(std::make_shared<ClientCore>(net, options)) {}

Client::~Client() { core_->pools.clear(); }

std::size_t Client::kept() const {
  std::size_t kept = 0;
  for (const auto& [endpoint, pool] : core_->pools) kept += pool.size();
  return kept;
}

Call::Call(Client& client) : core_(client.core_) {}

Call::~Call() { drop(); }

// Keeps the connection where it can carry another call, else closes it.
void Call::drop() {
  if (!wire_) return;
  const bool reusable = wire_->parser.state() == MessageParser::State::done && wire_->parser.keep_alive() &&
                        wire_->clean && !cancelled_ && !wire_->expired;
  piece_ = {};
  if (reusable) {
    core_->keep(std::move(wire_));
  } else {
    wire_.reset();
  }
}

void Call::cancel() {
  cancelled_ = true;
  if (wire_) wire_->stream->close();
}

const ResponseHead& Call::head() const {
  TK_ASSERT(wire_);
  return wire_->parser.head();
}

std::unexpected<CallError> Call::failure(CallFailure kind, std::string message) const {
  if (cancelled_) return std::unexpected(CallError{CallFailure::cancelled, "cancelled"});
  if (wire_ && wire_->expired) {
    switch (kind) {
      case CallFailure::connect:
        return std::unexpected(CallError{CallFailure::connect_timeout, "no connection in time"});
      case CallFailure::broken:
        return std::unexpected(CallError{CallFailure::idle_timeout, "the answer stopped in its midst"});
      default:
        return std::unexpected(CallError{CallFailure::first_byte_timeout, "no answer in time"});
    }
  }
  if (kind == CallFailure::connect && wire_->stream->exhausted()) kind = CallFailure::exhausted;
  return std::unexpected(CallError{kind, std::move(message)});
}

Task<CallResult<void>> Call::send(const Endpoint& to, const RequestHead& head, std::string_view body,
                                  const CallOptions& options) {
  deadline_ = options.deadline;
  idle_ = options.idle;
  for (bool may_reuse = true;; may_reuse = false) {
    drop();
    if (cancelled_) co_return failure(CallFailure::cancelled, {});
    wire_ = core_->take(to, may_reuse);
    if (!put_request(wire_->out, to, head, body.size())) {
      co_return failure(CallFailure::invalid, "the request has a byte that no HTTP request may have");
    }
    wire_->parser.reset(head.method == "HEAD");
    CallResult<void> done = co_await transmit(body, options.connect);
    if (done) done = co_await receive_head(options.first_byte);
    if (done || !wire_->reused) co_return done;
    // A server may close a kept connection at the very moment of its next use.
    const bool stale = done.error().kind == CallFailure::connect ||
                       (done.error().kind == CallFailure::no_response && options.idempotent);
    if (!stale) co_return done;
  }
}

void Call::limit(Duration duration) { wire_->deadline.set(std::min(core_->net.now() + duration, deadline_)); }

Task<CallResult<void>> Call::transmit(std::string_view body, Duration connect) {
  Stream& stream = *wire_->stream;
  if (!wire_->reused) {
    limit(connect);
    if (!co_await stream.writable()) co_return failure(CallFailure::connect, stream.why());
  }
  std::array<std::string_view, 2> frames = {wire_->out, body};
  const std::size_t total = frames[0].size() + frames[1].size();
  std::size_t sent = 0;
  while (sent < total) {
    const Attempt attempt = stream.write_now(frames);
    if (attempt.state == Attempt::State::done) {
      sent += attempt.bytes;
      const std::size_t of_head = std::min(attempt.bytes, frames[0].size());
      frames[0].remove_prefix(of_head);
      frames[1].remove_prefix(attempt.bytes - of_head);
    } else if (attempt.state == Attempt::State::would_block) {
      limit(idle_);
      const CallFailure unsent = sent == 0 ? CallFailure::connect : CallFailure::no_response;
      if (!co_await stream.writable()) co_return failure(unsent, stream.why());
    } else if (sent == 0) {
      co_return failure(CallFailure::connect, stream.why());
    } else {
      // A server that wants no more of the request may have said why.
      co_return CallResult<void>();
    }
  }
  wire_->clean = true;
  co_return CallResult<void>();
}

Task<CallResult<void>> Call::receive_head(Duration first_byte) {
  ResponseParser& parser = wire_->parser;
  limit(first_byte);
  while (parser.state() == MessageParser::State::head) {
    const bool there = !wire_->drained || co_await wire_->stream->readable();
    const Attempt::State state = there ? receive() : Attempt::State::failed;
    if (state == Attempt::State::done || state == Attempt::State::would_block) continue;
    co_return failure(parser.started() ? CallFailure::broken : CallFailure::no_response,
                      state == Attempt::State::ended ? "closed by the server" : wire_->stream->why());
  }
  if (parser.state() == MessageParser::State::failed) {
    co_return failure(CallFailure::protocol, parser.rejection().reason);
  }
  wire_->deadline.set(deadline_);
  co_return CallResult<void>();
}

// Reads once, if there is something, and feeds the parser.
Attempt::State Call::receive() {
  Wire& wire = *wire_;
  const Attempt attempt = wire.stream->read_now(wire.buffer);
  wire.drained = attempt.bytes < wire.buffer.size();
  if (attempt.state == Attempt::State::done) {
    const ResponseParser::Fed fed = wire.parser.feed({wire.buffer.data(), attempt.bytes});
    piece_ = fed.body;
    if (fed.taken < attempt.bytes) wire.clean = false;
  }
  return attempt.state;
}

Task<CallResult<std::string_view>> Call::read() {
  TK_ASSERT(wire_);
  ResponseParser& parser = wire_->parser;
  if (cancelled_) co_return failure(CallFailure::cancelled, {});
  bool ended = false;
  while (piece_.empty() && parser.state() == MessageParser::State::body) {
    limit(idle_);
    const bool there = !wire_->drained || co_await wire_->stream->readable();
    const Attempt::State state = there ? receive() : Attempt::State::failed;
    if (state == Attempt::State::failed) co_return failure(CallFailure::broken, wire_->stream->why());
    ended = state == Attempt::State::ended;
    if (ended) parser.end();
  }
  if (piece_.empty() && parser.state() == MessageParser::State::failed) {
    co_return failure(ended ? CallFailure::broken : CallFailure::protocol, parser.rejection().reason);
  }
  // The caller may take its time with the piece; only the whole call's deadline goes on.
  wire_->deadline.set(deadline_);
  co_return std::exchange(piece_, {});
}

Task<CallResult<std::string>> Call::read_all(std::size_t bytes_max) {
  std::string body;
  while (true) {
    const CallResult<std::string_view> piece = co_await read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) co_return body;
    if (piece->size() > bytes_max - body.size()) {
      co_return failure(CallFailure::protocol, fmt::format("the answer has more than {} bytes", bytes_max));
    }
    body += *piece;
  }
}

}  // namespace truekeel::http
