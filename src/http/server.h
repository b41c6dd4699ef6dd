// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 server: one handler, a coroutine, answers each request. Thread safety: one server per thread.
// Invariants: an exchange ends exactly once (answered, or cut); a connection has one exchange at a time;
// nothing is buffered behind the handler's back: what it writes is sent, or it waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "http/message.h"
#include "http/net.h"
#include "http/parser.h"

namespace truekeel::http {

class Connection;
struct ServerCore;

/// One request and its answer, given to the handler for the time it runs.
///
/// Results of respond, start, write, finish are Error::cancelled when the client has left or was cut; a
/// handler may ignore that and return. A handler that returns without an answer gives a 500; one that returns
/// between start and finish has the connection cut, so that the client never takes a part for the whole.
class Exchange {
 public:
  /// For the server; `connection` is borrowed for life.
  explicit Exchange(Connection& connection) : connection_(connection) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  [[nodiscard]] const RequestHead& request() const;
  /// The whole body. It may be moved from.
  [[nodiscard]] std::string& body();
  /// The client's address.
  [[nodiscard]] const std::string& peer() const;

  /// Answers at once. Framing is ours: Content-Length, Transfer-Encoding and hop-by-hop fields of `headers`
  /// are left out (after HEAD, a Content-Length stays). Head and body leave in one system call.
  Task<Result<void>> respond(int status, const Headers& headers, std::string_view body);

  /// Begins a streamed answer. The head leaves with the first write, or by flush(). A Content-Length in
  /// `headers` frames the body, else it is chunked (or ends with the connection for HTTP/1.0).
  void start(int status, const Headers& headers);
  Task<Result<void>> flush();
  /// Returns when the pieces are with the kernel: a slow client slows the handler down. They are borrowed
  /// until then.
  Task<Result<void>> write(std::span<const std::string_view> pieces);
  Task<Result<void>> write(std::string_view piece);
  /// Ends the answer, after one last piece.
  Task<Result<void>> finish(std::string_view last = {});
  /// Cuts the connection; the client sees that the answer is not whole.
  void abort();

  /// Whether a byte of the answer may have left.
  [[nodiscard]] bool started() const;
  /// Whether the client has left.
  [[nodiscard]] bool gone() const;
  /// Calls `left` once, from the event loop, as soon as the client leaves, at once if it has. Replaces an
  /// earlier callback; forgotten when the handler returns.
  void on_gone(std::function<void()> left);

 private:
  Connection& connection_;
};

using Handler = std::function<Task<void>(Exchange&)>;

struct ErrorBody {
  std::string content_type;
  std::string body;
};

struct ServerOptions {
  ParserLimits parser;
  std::size_t connections = 20'000;            ///< further ones get a 503 and are closed
  std::size_t bodies_bytes = 1ULL << 30;       ///< of all requests together; beyond: 503
  Duration header = std::chrono::seconds(10);  ///< for a request's head, from its first byte
  Duration body = std::chrono::seconds(300);   ///< for a request's body
  Duration idle = std::chrono::seconds(300);   ///< between requests; also for a client that does not read
  /// After the last answer, while the client sends on (at most `body`): bytes that nobody reads would destroy
  /// that answer on its way.
  Duration linger = std::chrono::seconds(2);
  std::shared_ptr<const TlsContext> tls = {};  ///< null: in the clear
  bool date = true;  ///< answers that have no Date field get one, as origin servers must (RFC 9110, 6.6.1)
  /// Whether the body of such a request is to be read. If not, the handler gets none, and the connection ends
  /// with its answer. Null: every body is.
  std::function<bool(const RequestHead&)> takes_body = {};
  /// The body of errors that the server itself answers (400, 408, 413, 431, 500, 503, 505).
  std::function<ErrorBody(int status, std::string_view message, std::string_view target)> error_body;
};

class Server {
 public:
  /// `net` is borrowed for life.
  Server(Net& net, ServerOptions options, Handler handler);
  /// Cuts whatever is left; handlers under way end as the io_context runs on.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Starts to accept, and returns the port. May be called for several addresses.
  Result<std::uint16_t> listen(const Endpoint& at, Sharing sharing = Sharing::first);
  void stop_accepting();
  /// Stops accepting, closes idle connections, lets answers under way end (they say `Connection: close`),
  /// cuts what is left at the deadline. Returns when no connection is left.
  Task<void> drain(Instant deadline);

  [[nodiscard]] std::size_t connections() const;
  /// Requests whose handler runs now.
  [[nodiscard]] std::size_t exchanges() const;

 private:
  const std::shared_ptr<ServerCore> core_;
};

}  // namespace truekeel::http
