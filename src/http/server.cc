// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <fmt/format.h>

#include <list>
#include <new>
#include <string>
#include <utility>

#include "base/log.h"
#include "http/connection.h"
#include "http/tls.h"

namespace truekeel::http {
namespace {

// A place for one more connection, if need be the one that has been idle for longest.
bool make_room(ServerCore& core) {
  const auto full = [&core] { return core.idle.size() + core.busy.size() >= core.options.connections; };
  while (full() && !core.idle.empty()) core.idle.front()->make_way();
  return !full();
}

// Nobody knows yet what the client asks for.
void turn_away(ServerCore& core, Stream& stream) {
  const ErrorBody error = core.error_body(503, "too many connections; try again", "/");
  const std::string answer = fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: {}\r\n"
      "content-length: {}\r\n\r\n{}",
      error.content_type, error.body.size(), error.body);
  const std::string_view piece = answer;
  stream.write_now({&piece, 1});
  stream.read_now(core.scratch);  // a request that is here already would destroy the answer on its way
}

void admit(const std::shared_ptr<ServerCore>& core, std::unique_ptr<Stream> stream) {
  const auto& tls = core->options.tls;
  if (make_room(*core)) {
    if (tls) stream = tls->accept(std::move(stream));
    std::make_shared<Connection>(core, std::move(stream))->start();
  } else {
    if (!tls) turn_away(*core, *stream);
    stream->close();
  }
}

Task<void> accept_loop(std::shared_ptr<ServerCore> core, std::shared_ptr<Listener> listener) {
  while (std::unique_ptr<Stream> stream = co_await listener->accept()) {
    try {
      admit(core, std::move(stream));
    } catch (const std::bad_alloc&) {
      // This connection is lost; the next may find memory again.
      log(LogLevel::error, "http.no_memory");
    }
  }
}

void cut_all(const std::list<Connection*>& connections) {
  while (!connections.empty()) connections.front()->cut();
}

}  // namespace

Server::Server(Net& net, ServerOptions options, Handler handler)
    : core_(std::make_shared<ServerCore>(net, std::move(options), std::move(handler))) {}

Server::~Server() {
  stop_accepting();
  cut_all(core_->idle);
  cut_all(core_->busy);
}

Result<std::uint16_t> Server::listen(const Endpoint& at, Sharing sharing) {
  auto listener = core_->net.listen(at, sharing);
  if (!listener) return std::unexpected(std::move(listener.error()));
  const auto& shared = core_->listeners.emplace_back(std::move(*listener));
  spawn(core_->net, accept_loop(core_, shared));
  return shared->port();
}

void Server::stop_accepting() {
  for (const auto& listener : core_->listeners) listener->close();
  core_->listeners.clear();
}

Task<void> Server::drain(Instant deadline) {
  const std::shared_ptr<ServerCore> core = core_;
  stop_accepting();
  core->draining = true;
  cut_all(core->idle);
  Deadline patience(core->net.deadlines(), [&] { cut_all(core->busy); });
  patience.set(deadline);
  while (core->alive > 0) co_await core->emptied.wait();
}

std::size_t Server::connections() const { return core_->alive; }
std::size_t Server::exchanges() const { return core_->exchanges; }

}  // namespace truekeel::http
