// SPDX-License-Identifier: Apache-2.0
// One connection of the server, run by two coroutines: input() reads whenever something can be read, so that
// a client that leaves is noticed while its request is worked on; serve() answers one request after the
// other. Thread safety: one thread. Invariants: input() alone waits for input; serve(), and the handler that
// it awaits, alone write; both share the connection, which so outlives them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/deadline.h"
#include "http/message.h"
#include "http/net.h"
#include "http/parser.h"
#include "http/server.h"
#include "http/signal.h"

namespace truekeel::http {

/// What the connections of a server share.
struct ServerCore {
  ServerCore(Net& n, ServerOptions o, Handler h);

  Net& net;
  const ServerOptions options;
  const Handler handler;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::list<Connection*> idle;  ///< between requests, the one that is so for longest first
  std::list<Connection*> busy;
  std::size_t alive = 0;  ///< these, and those that are closed but not gone yet
  std::size_t exchanges = 0;
  std::size_t bodies_bytes = 0;
  bool draining = false;
  Signal emptied;             ///< no connection is left
  std::vector<char> scratch;  ///< what one read takes; nothing stays in it

  /// The body of an error that the server itself answers.
  [[nodiscard]] ErrorBody error_body(int status, std::string_view message, std::string_view target) const;
  /// The value of a Date field at this time; formatted once a second.
  std::string_view date();
  std::string date_text;
  std::chrono::sys_seconds date_second{};
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerCore> core, std::unique_ptr<Stream> stream);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Starts both coroutines.
  void start();
  /// Closes now, whatever is under way. Idempotent.
  void cut();
  /// Closes a connection between requests, unless the next one is here already. Requires: it is idle; it is
  /// not afterwards.
  void make_way();

 private:
  friend class Exchange;

  enum class Phase : std::uint8_t {
    idle,
    reading,    ///< a request has begun
    answering,  ///< it is complete, or refused
    lingering,  ///< all is said; what still comes is dropped, for it would destroy the answer on its way
    closed,
  };
  enum class Answer : std::uint8_t { none, begun, whole };
  enum class Framing : std::uint8_t { length, chunked, until_close, bodyless };

  Task<void> guard(std::shared_ptr<Connection> self, Task<void> task);
  Task<void> input();
  bool take_input();
  void feed(std::string_view bytes);
  void send_continue();
  [[nodiscard]] bool takes_body() const;
  void count_body();
  void client_left();
  void on_deadline();
  void enter(Phase phase);

  Task<void> serve();
  Task<void> answer();
  Task<void> refuse(int status, std::string_view message);
  Task<void> linger(Duration duration_max);
  void forget_request();
  void next_request();

  // What an Exchange does (exchange.cc).
  Task<Result<void>> respond(int status, const Headers& headers, std::string_view body);
  void start_answer(int status, const Headers& headers);
  Task<Result<void>> write(std::span<const std::string_view> pieces, bool last);
  void abort();
  void put_head(int status, const Headers& headers, std::optional<std::uint64_t> body_bytes);
  [[nodiscard]] bool put_pieces(std::span<const std::string_view> pieces, bool last);
  Task<Result<void>> push();

  const std::shared_ptr<ServerCore> core_;
  const std::unique_ptr<Stream> stream_;
  RequestParser parser_;
  Signal wake_;  ///< for serve(): the phase has changed
  Signal room_;  ///< for input(): there is room again
  Deadline deadline_;
  Phase phase_ = Phase::idle;
  std::list<Connection*>::iterator place_;  ///< in core_->idle or busy, unless closed
  std::string pending_;                     ///< input that came before its turn: pipelined requests
  std::size_t counted_bytes_ = 0;           ///< our share of core_->bodies_bytes
  bool continued_ = false;                  ///< the client may send its body
  Instant linger_until_{};
  std::string peer_;

  // The answer under way.
  Answer answer_ = Answer::none;
  Framing framing_ = Framing::length;
  std::uint64_t length_left_ = 0;  ///< of Content-Length
  bool sent_ = false;              ///< a byte of it may have left
  bool keep_ = true;
  bool gone_ = false;
  std::function<void()> on_gone_;
  std::string out_;                       ///< our bytes: head and chunk sizes
  std::vector<std::string_view> frames_;  ///< what to write: parts of out_, and pieces of the handler's
};

}  // namespace truekeel::http
