// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 client with a pool of kept connections. Thread safety: one client per thread.
// Invariants: every call returns, by its answer, an error, a limit of time or cancel(); a request is sent
// twice only where no server can have acted on the first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "http/message.h"
#include "http/net.h"
#include "http/parser.h"
#include "http/url.h"

namespace truekeel::http {

enum class CallFailure : std::uint8_t {
  invalid,             ///< the request cannot be written; nothing was sent
  exhausted,           ///< nothing left here to connect with: says nothing of the server; nothing was sent
  connect,             ///< no connection; nothing was sent
  connect_timeout,     ///< the same, for want of time
  no_response,         ///< sent, at least in part; then the server closed without a byte of an answer
  first_byte_timeout,  ///< sent; no answer in time
  broken,              ///< the answer began, and was cut short
  idle_timeout,        ///< the answer began, and stopped
  protocol,            ///< what came is no HTTP that we accept
  cancelled,           ///< by cancel()
};

struct CallError {
  CallFailure kind;
  std::string message;

  /// Whether the server cannot have seen any of the request.
  [[nodiscard]] bool nothing_sent() const { return kind <= CallFailure::connect_timeout; }
};

template <class T>
using CallResult = std::expected<T, CallError>;

struct CallOptions {
  Duration connect = std::chrono::seconds(5);
  Duration first_byte = std::chrono::seconds(300);  ///< from the request's last byte to the answer's head
  Duration idle = std::chrono::seconds(300);        ///< between two pieces of a body, sent or received
  Instant deadline = Instant::max();                ///< for the whole call
  /// May be sent again when a kept connection turns out to be closed before any byte of an answer.
  bool idempotent = false;
};

struct ClientOptions {
  std::size_t kept_per_endpoint = 256;
  /// Shorter than what servers keep, 5 s with llama-server and vLLM (uvicorn): a stale one costs a retry.
  Duration kept = std::chrono::seconds(4);
  ParserLimits parser{.body_bytes = SIZE_MAX};
};

struct ClientCore;
struct Wire;

class Client {
 public:
  /// `net` is borrowed for life.
  Client(Net& net, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Kept connections that wait for a next request.
  [[nodiscard]] std::size_t kept() const;

 private:
  friend class Call;
  const std::shared_ptr<ClientCore> core_;
};

/// One request and its answer. Lives in the caller's coroutine, which awaits each step in turn; cancel() may
/// come at any time, from the same thread.
class Call {
 public:
  explicit Call(Client& client);
  /// Closes the connection unless the answer was read to its end. Requires: no step is under way.
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// Sends the request, and returns when the answer's head is there. Host, Content-Length and Connection are
  /// ours (Host unless given); hop-by-hop fields are left out. `head` and `body` are borrowed until the
  /// return.
  Task<CallResult<void>> send(const Endpoint& to, const RequestHead& head, std::string_view body,
                              const CallOptions& options);

  /// Requires: send() succeeded.
  [[nodiscard]] const ResponseHead& head() const;

  /// The next piece of the body, valid until the next step; empty at its proper end. Requires: send()
  /// succeeded.
  Task<CallResult<std::string_view>> read();

  /// The whole rest of the body. CallFailure::protocol beyond `bytes_max`.
  Task<CallResult<std::string>> read_all(std::size_t bytes_max);

  /// Ends the step under way with CallFailure::cancelled, in whatever phase, and closes the connection.
  /// Further steps fail in the same way.
  void cancel();

 private:
  Task<CallResult<void>> transmit(std::string_view body, Duration connect);
  Task<CallResult<void>> receive_head(Duration first_byte);
  Attempt::State receive();
  std::unexpected<CallError> failure(CallFailure kind, std::string message) const;
  void limit(Duration duration);
  void drop();

  const std::shared_ptr<ClientCore> core_;
  std::unique_ptr<Wire> wire_;
  std::string_view piece_;  ///< of the body, read and not handed out yet
  Duration idle_{};
  Instant deadline_ = Instant::max();
  bool cancelled_ = false;
};

}  // namespace truekeel::http
