// SPDX-License-Identifier: Apache-2.0
#include "http/tcp_net.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "http/deadline.h"
#include "http/signal.h"

namespace truekeel::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Executor = asio::io_context::executor_type;
using Tcp = asio::ip::tcp;
using Socket = asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using Resolver = asio::ip::basic_resolver<Tcp, Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

constexpr asio::use_awaitable_t<Executor> kAwait;
constexpr auto kAwaitTuple = asio::as_tuple(kAwait);

// Connections that the kernel completes before we accept them.
constexpr int kBacklog = 4096;
// What one write passes to the kernel at most; a further attempt takes the rest.
constexpr std::size_t kPiecesMax = 64;
// The pause of the acceptor when there is no descriptor or memory left.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

std::string words(int os_error) { return error_code(os_error, boost::system::system_category()).message(); }

/// A look-up under way. Shared, because getaddrinfo cannot be interrupted: closing leaves it behind.
struct LookUp {
  explicit LookUp(asio::io_context& context) : resolver(context), done(context) {}

  Resolver resolver;
  Signal done;
  error_code error;
  std::vector<Tcp::endpoint> found;
};

class TcpStream final : public Stream {
 public:
  TcpStream(asio::io_context& context, Endpoint to)
      : context_(context), socket_(context), to_(std::move(to)) {}
  TcpStream(asio::io_context& context, Socket socket, const Tcp::endpoint& peer)
      : context_(context), socket_(std::move(socket)), peer_(peer), connected_(true) {
    prepare();
  }

  Attempt read_now(std::span<char> into) override {
    TK_ASSERT(!into.empty());
    if (!connected_) return {Attempt::State::failed};
    ssize_t n;
    do n = ::recv(socket_.native_handle(), into.data(), into.size(), MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n == 0) return {Attempt::State::ended};
    return outcome(n);
  }

  Attempt write_now(std::span<const std::string_view> pieces) override {
    if (!connected_) return {Attempt::State::failed};
    std::array<iovec, kPiecesMax> parts;
    std::size_t count = 0;
    for (const std::string_view piece : pieces) {
      if (count == parts.size()) break;
      if (!piece.empty()) parts[count++] = {const_cast<char*>(piece.data()), piece.size()};
    }
    TK_ASSERT(count > 0);
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    ssize_t n;
    do n = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return outcome(n);
  }

  Task<bool> readable() override { return ready(Socket::wait_read); }

  Task<bool> writable() override {
    if (!connected_ && !closed_ && why_.empty()) return connect();
    return ready(Socket::wait_write);
  }

  void end_write() override {
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

  void close() override {
    closed_ = true;
    connected_ = false;
    if (look_up_) look_up_->done.notify();
    error_code ignored;
    socket_.close(ignored);
  }

  void reset() override {
    error_code ignored;
    if (!closed_) socket_.set_option(Socket::linger(true, 0), ignored);
    close();
  }

  std::string why() const override { return why_.empty() ? "closed" : why_; }
  bool exhausted() const override { return exhausted_; }
  std::string peer() const override { return peer_.address().to_string(); }

 private:
  // No descriptor here: the wait refers to nothing of this object, and its handler resumes the coroutine.
  Task<bool> ready(Socket::wait_type what) {
    return asio::async_initiate<const asio::use_awaitable_t<Executor>&, void(bool)>(
        [this, what](auto waiter) {
          socket_.async_wait(what, [waiter = std::move(waiter)](const error_code& error) mutable {
            waiter(error != asio::error::operation_aborted && error != asio::error::bad_descriptor);
          });
        },
        kAwait);
  }

  Attempt outcome(ssize_t n) {
    if (n >= 0) return {Attempt::State::done, static_cast<std::size_t>(n)};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Attempt::State::would_block};
    why_ = words(errno);
    return {Attempt::State::failed};
  }

  // Small writes must leave at once: Nagle's algorithm would hold them for the peer's delayed
  // acknowledgement.
  void prepare() {
    error_code ignored;
    socket_.set_option(Tcp::no_delay(true), ignored);
  }

  // Asio has asked to be told of room to write, and would be at each further wait, although there nearly
  // always is room: a wake-up for nothing with every read.
  void register_anew(const Tcp& protocol, error_code& error) {
    const auto descriptor = socket_.release(error);
    if (error) return;
    socket_.assign(protocol, descriptor, error);
    if (error) ::close(descriptor);
  }

  Task<bool> connect() {
    // Without EADDRNOTAVAIL: no port is left, or no way leads to such an address, which is the server's
    // affair.
    static constexpr std::array kOurs = {EMFILE, ENFILE, ENOMEM, ENOBUFS};
    const auto is_ours = [](const error_code& error) {
      return std::ranges::find(kOurs, error.value()) != kOurs.end();
    };
    std::vector<Tcp::endpoint> candidates = co_await look_up();
    // Without a file to open, no name is found either.
    if (candidates.empty() && !closed_) {
      error_code error;
      socket_.open(Tcp::v4(), error);
      exhausted_ = is_ours(error);
    }
    for (const Tcp::endpoint& candidate : candidates) {
      if (closed_) break;
      error_code error;
      socket_.close(error);
      if (socket_.open(candidate.protocol(), error); !error) {
        std::tie(error) = co_await socket_.async_connect(candidate, kAwaitTuple);
      }
      if (closed_) break;
      if (!error) register_anew(candidate.protocol(), error);
      if (!error) {
        peer_ = candidate;
        connected_ = true;
        prepare();
        co_return true;
      }
      why_ = error.message();
      exhausted_ = is_ours(error);
    }
    co_return !closed_;
  }

  Task<std::vector<Tcp::endpoint>> look_up() {
    error_code error;
    if (const auto address = asio::ip::make_address(to_.host, error); !error) {
      co_return std::vector{Tcp::endpoint(address, to_.port)};
    }
    look_up_ = std::make_shared<LookUp>(context_);
    look_up_->resolver.async_resolve(to_.host, std::to_string(to_.port), Resolver::numeric_service,
                                     [look_up = look_up_](const error_code& failed, const auto& found) {
                                       look_up->error = failed;
                                       for (const auto& entry : found) look_up->found.push_back(entry);
                                       look_up->done.notify();
                                     });
    co_await look_up_->done.wait();
    if (look_up_->found.empty()) why_ = "cannot look up " + to_.host + ": " + look_up_->error.message();
    std::vector<Tcp::endpoint> found = std::move(look_up_->found);
    look_up_.reset();
    co_return found;
  }

  asio::io_context& context_;
  Socket socket_;
  const Endpoint to_;
  Tcp::endpoint peer_;
  std::shared_ptr<LookUp> look_up_;
  std::string why_;
  bool connected_ = false;
  bool exhausted_ = false;
  bool closed_ = false;
};

class TcpListener final : public Listener {
 public:
  TcpListener(Net& net, Acceptor acceptor) : net_(net), acceptor_(std::move(acceptor)) {}

  Task<std::unique_ptr<Stream>> accept() override {
    while (acceptor_.is_open()) {
      Tcp::endpoint peer;
      Socket socket(net_.context());
      const auto [error] = co_await acceptor_.async_accept(socket, peer, kAwaitTuple);
      if (!error) co_return std::make_unique<TcpStream>(net_.context(), std::move(socket), peer);
      if (error == asio::error::operation_aborted) break;
      if (error == asio::error::connection_aborted) continue;
      log_warning("http.accept_failed", {{"error", error.message()}});
      co_await net_.sleep_until(net_.now() + kAcceptPause);
    }
    co_return nullptr;
  }

  std::uint16_t port() const override {
    error_code ignored;
    return acceptor_.local_endpoint(ignored).port();
  }

  void close() override {
    error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  Net& net_;
  Acceptor acceptor_;
};

class TcpNet final : public Net {
 public:
  explicit TcpNet(asio::io_context& context) : context_(context), deadlines_(*this) {}

  asio::io_context& context() override { return context_; }
  Instant now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall_now() const override {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  }
  DeadlineWheel& deadlines() override { return deadlines_; }

  Task<void> sleep_until(Instant at) override {
    Timer timer(context_, at);
    co_await timer.async_wait(kAwaitTuple);
  }

  Result<std::unique_ptr<Listener>> listen(const Endpoint& at, Sharing sharing) override {
    error_code error;
    const auto address = asio::ip::make_address(at.host == "localhost" ? "127.0.0.1" : at.host, error);
    if (error) return fail(ErrorCode::invalid_argument, "cannot listen on " + at.host + ": not an address");
    const Tcp::endpoint endpoint(address, at.port);
    // Without the option of sharing, the kernel refuses a port that anybody else listens on, sharing or not.
    if (sharing == Sharing::first && at.port != 0) {
      Acceptor probe(context_);
      error = bind(probe, endpoint, false);
    }
    Acceptor acceptor(context_);
    if (!error) error = bind(acceptor, endpoint, true);
    if (!error) acceptor.listen(kBacklog, error);
    if (error) {
      return fail(ErrorCode::unavailable, "cannot listen on " + at.host + " port " + std::to_string(at.port) +
                                              ": " + error.message());
    }
    return std::make_unique<TcpListener>(*this, std::move(acceptor));
  }

  std::unique_ptr<Stream> dial(const Endpoint& to) override {
    return std::make_unique<TcpStream>(context_, to);
  }

 private:
  static error_code bind(Acceptor& acceptor, const Tcp::endpoint& endpoint, bool shared) {
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(Acceptor::reuse_address(true), error);
    if (!error && shared) acceptor.set_option(ReusePort(true), error);
    if (!error && endpoint.address() == asio::ip::address_v6::any()) {
      acceptor.set_option(asio::ip::v6_only(false), error);
    }
    if (!error) acceptor.bind(endpoint, error);
    return error;
  }

  asio::io_context& context_;
  DeadlineWheel deadlines_;
};

}  // namespace

std::unique_ptr<Net> make_tcp_net(boost::asio::io_context& context) {
  return std::make_unique<TcpNet>(context);
}

}  // namespace truekeel::http
