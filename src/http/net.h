// SPDX-License-Identifier: Apache-2.0
// The port to the network and the clock. Above it nobody knows of sockets; below it is TCP or a simulation.
// Thread safety: a Net and all that comes from it belong to the one thread that runs its io_context.
// Operations are attempts that never wait, and waits that move no bytes: so no buffer is ever lent to an
// operation under way, and closing is safe at any moment.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace truekeel::http {

class DeadlineWheel;

/// A lazy coroutine: it starts when it is awaited, or handed to spawn().
template <class T = void>
using Task = boost::asio::awaitable<T, boost::asio::io_context::executor_type>;

class TlsContext;

/// A host name or address, without brackets, and a port.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  std::shared_ptr<const TlsContext> tls = {};  ///< how to dial it; null: in the clear

  auto operator<=>(const Endpoint&) const = default;
};

/// What an attempt to read or to write came to.
struct Attempt {
  enum class State : std::uint8_t {
    done,         ///< `bytes` > 0 were moved
    would_block,  ///< nothing can be moved now: await readable() or writable()
    ended,        ///< read only: the peer sends no more
    failed,       ///< the stream is of no further use; Stream::why() tells
  };
  State state;
  std::size_t bytes = 0;
};

/// A byte stream between two peers. Requires: it outlives its pending waits; close() ends them.
class Stream {
 public:
  virtual ~Stream() = default;

  /// Requires: `into` is not empty.
  virtual Attempt read_now(std::span<char> into) = 0;

  /// Writes a prefix of the pieces, in order, in one system call. Requires: they are not all empty.
  virtual Attempt write_now(std::span<const std::string_view> pieces) = 0;

  /// True when an attempt is worth it (also when it will tell of an end or a failure), false after close().
  /// At most one waiter for each direction. A dialled stream connects within its first writable().
  virtual Task<bool> readable() = 0;
  virtual Task<bool> writable() = 0;

  /// Tells the peer that nothing more will be written; reading goes on.
  virtual void end_write() = 0;

  /// Closes, and ends pending waits soon, never within the call. Idempotent.
  virtual void close() = 0;

  /// As close(), but the peer sees a failure and not an orderly end.
  virtual void reset() = 0;

  /// Why an attempt failed, in words.
  [[nodiscard]] virtual std::string why() const = 0;

  /// Whether there was nothing left here to connect with: no file, no memory. It says nothing of the peer.
  [[nodiscard]] virtual bool exhausted() const = 0;

  /// The peer's address, without its port.
  [[nodiscard]] virtual std::string peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;

  /// The next stream; null after close().
  virtual Task<std::unique_ptr<Stream>> accept() = 0;

  /// The port that it listens on, useful after asking for port 0.
  [[nodiscard]] virtual std::uint16_t port() const = 0;

  virtual void close() = 0;
};

/// Threads share the connections of a port by listening on it each: the first finds out whether it is free,
/// the further ones join.
enum class Sharing : std::uint8_t { first, further };

class Net {
 public:
  virtual ~Net() = default;

  virtual boost::asio::io_context& context() = 0;
  [[nodiscard]] virtual Instant now() const = 0;
  [[nodiscard]] virtual WallTime wall_now() const = 0;
  virtual Task<void> sleep_until(Instant at) = 0;

  /// For whatever may take too long; coarse and cheap, see deadline.h.
  virtual DeadlineWheel& deadlines() = 0;

  /// Listens on an address or localhost; port 0 asks for any free one. Error::unavailable when it cannot be
  /// had.
  virtual Result<std::unique_ptr<Listener>> listen(const Endpoint& at, Sharing sharing) = 0;

  /// A stream that is not connected yet: its first writable() connects it. Never null.
  virtual std::unique_ptr<Stream> dial(const Endpoint& to) = 0;
};

/// Runs the task on the net's thread, perhaps beginning within this call, until its own end. An exception
/// that escapes it is logged.
void spawn(Net& net, Task<void> task);

}  // namespace truekeel::http
