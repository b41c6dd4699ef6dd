// SPDX-License-Identifier: Apache-2.0
#include "http/connection.h"

#include <algorithm>
#include <typeinfo>
#include <utility>

#include "base/assert.h"
#include "base/log.h"

namespace truekeel::http {
namespace {

constexpr std::size_t kScratchBytes = 64 << 10;
// Pipelined input held while an answer is under way; with more of it we stop reading.
constexpr std::size_t kPendingBytes = 64 << 10;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

ServerCore::ServerCore(Net& n, ServerOptions o, Handler h)
    : net(n), options(std::move(o)), handler(std::move(h)), emptied(n.context()), scratch(kScratchBytes) {}

ErrorBody ServerCore::error_body(int status, std::string_view message, std::string_view target) const {
  if (options.error_body) return options.error_body(status, message, target);
  return {"text/plain", std::string(message) + "\n"};
}

std::string_view ServerCore::date() {
  const auto second = std::chrono::floor<std::chrono::seconds>(net.wall_now());
  if (second != date_second) {
    date_second = second;
    date_text = http_date(second);
  }
  return date_text;
}

Connection::Connection(std::shared_ptr<ServerCore> core, std::unique_ptr<Stream> stream)
    : core_(std::move(core)),
      stream_(std::move(stream)),
      parser_(core_->options.parser),
      wake_(core_->net.context()),
      room_(core_->net.context()),
      deadline_(core_->net.deadlines(), [this] { on_deadline(); }) {
  place_ = core_->idle.insert(core_->idle.end(), this);
  ++core_->alive;
}

Connection::~Connection() {
  cut();
  core_->bodies_bytes -= counted_bytes_;
  if (--core_->alive == 0) core_->emptied.notify();
}

void Connection::start() {
  // A first request is as urgent as a head that has begun: who only connects must not hold a place for long.
  deadline_.set(core_->net.now() + core_->options.header);
  spawn(core_->net, guard(shared_from_this(), input()));
  spawn(core_->net, guard(shared_from_this(), serve()));
}

// Without memory, say, neither half can go on alone.
Task<void> Connection::guard(std::shared_ptr<Connection> /*self*/, Task<void> task) {
  try {
    co_await std::move(task);
  } catch (...) {
    cut();
    throw;
  }
}

void Connection::cut() {
  if (phase_ == Phase::closed) return;
  enter(Phase::closed);
  stream_->close();
  client_left();
}

void Connection::make_way() {
  take_input();
  if (phase_ == Phase::idle) cut();
}

void Connection::enter(Phase phase) {
  TK_ASSERT(phase_ != Phase::closed);
  auto& from = phase_ == Phase::idle ? core_->idle : core_->busy;
  if (phase == Phase::closed) {
    from.erase(place_);
  } else {
    auto& to = phase == Phase::idle ? core_->idle : core_->busy;
    to.splice(to.end(), from, place_);
  }
  phase_ = phase;
  deadline_.clear();
  if (phase == Phase::answering || phase == Phase::closed) wake_.notify();
  room_.notify();
}

Task<void> Connection::input() {
  while (co_await stream_->readable()) {
    if (!take_input()) break;
    while (phase_ == Phase::answering && pending_.size() >= kPendingBytes) co_await room_.wait();
  }
}

// False when nothing more will come.
bool Connection::take_input() {
  std::vector<char>& scratch = core_->scratch;
  const Attempt attempt = stream_->read_now(scratch);
  switch (attempt.state) {
    case Attempt::State::would_block:
      return true;
    case Attempt::State::ended:
    case Attempt::State::failed:
      // A request that is being answered may still get its answer: the client may have closed its half only.
      if (phase_ == Phase::answering) {
        client_left();
      } else {
        cut();
      }
      return false;
    case Attempt::State::done:
      break;
  }
  const std::string_view bytes(scratch.data(), attempt.bytes);
  if (phase_ == Phase::answering) {
    pending_ += bytes;
  } else if (phase_ == Phase::lingering) {
    deadline_.set(std::min(core_->net.now() + core_->options.linger, linger_until_));
  } else {
    feed(bytes);
  }
  return phase_ != Phase::closed;
}

void Connection::feed(std::string_view bytes) {
  const bool had_head = parser_.state() == MessageParser::State::body;
  if (phase_ == Phase::idle) {
    enter(Phase::reading);
    deadline_.set(core_->net.now() + core_->options.header);
  }
  const std::size_t taken = parser_.feed(bytes);
  count_body();
  switch (parser_.state()) {
    case MessageParser::State::head:
      break;
    case MessageParser::State::body:
      if (!had_head && !takes_body()) {
        parser_.body().clear();
        count_body();
        enter(Phase::answering);
        break;
      }
      if (!had_head) deadline_.set(core_->net.now() + core_->options.body);
      send_continue();
      break;
    case MessageParser::State::done:
      pending_ = bytes.substr(taken);
      enter(Phase::answering);
      break;
    case MessageParser::State::failed:
      enter(Phase::answering);
      break;
  }
}

bool Connection::takes_body() const {
  const auto& wanted = core_->options.takes_body;
  return !wanted || wanted(parser_.head());
}

void Connection::send_continue() {
  if (!parser_.expects_continue() || continued_ || !parser_.body().empty()) return;
  continued_ = true;
  // The answers before are with the kernel in whole, so there is room; a client that left none is cut.
  const Attempt attempt = stream_->write_now({&kContinue, 1});
  if (attempt.state != Attempt::State::done || attempt.bytes != kContinue.size()) cut();
}

void Connection::count_body() {
  core_->bodies_bytes += parser_.body().size() - counted_bytes_;
  counted_bytes_ = parser_.body().size();
  if (core_->bodies_bytes > core_->options.bodies_bytes && parser_.state() == MessageParser::State::body) {
    parser_.refuse(503, "too many large requests at once; try again");
  }
}

void Connection::client_left() {
  gone_ = true;
  if (on_gone_) std::exchange(on_gone_, nullptr)();
}

void Connection::on_deadline() {
  // A client that has sent no more than blank lines must not take a 408 for the answer to its next request.
  if (phase_ == Phase::reading && !parser_.head().target.empty()) {
    parser_.refuse(408, "the request did not arrive in time");
    enter(Phase::answering);
  } else {
    cut();
  }
}

Task<void> Connection::serve() {
  while (phase_ == Phase::idle || phase_ == Phase::reading) {
    co_await wake_.wait();
    while (phase_ == Phase::answering) {
      // What is left of a body that nobody took is no next request.
      keep_ = parser_.keep_alive() && parser_.state() == MessageParser::State::done;
      if (parser_.state() == MessageParser::State::failed) {
        keep_ = false;
        co_await refuse(parser_.rejection().status, parser_.rejection().reason);
      } else {
        co_await answer();
      }
      if (phase_ != Phase::answering) break;
      // Who was too slow gets no more time.
      const bool late = parser_.state() == MessageParser::State::failed && parser_.rejection().status == 408;
      forget_request();
      if (answer_ != Answer::whole) {
        abort();
      } else if (gone_) {
        cut();
      } else if (keep_ && !core_->draining) {
        next_request();
      } else {
        co_await linger(late ? core_->options.linger : core_->options.body);
      }
    }
  }
}

Task<void> Connection::answer() {
  ++core_->exchanges;
  try {
    Exchange exchange(*this);
    co_await core_->handler(exchange);
  } catch (const std::exception& e) {
    // Its type alone: what() may quote what a client sent.
    log(LogLevel::error, "http.handler_failed", {{"exception", typeid(e).name()}});
  } catch (...) {
    log(LogLevel::error, "http.handler_failed", {{"exception", "unknown"}});
  }
  --core_->exchanges;
  on_gone_ = nullptr;
  if (answer_ == Answer::none && phase_ == Phase::answering) {
    co_await refuse(500, "the request could not be handled");
  }
}

Task<void> Connection::refuse(int status, std::string_view message) {
  const ErrorBody error = core_->error_body(status, message, parser_.head().target);
  Headers headers{{"content-type", error.content_type}};
  if (status == 503) headers.add("retry-after", "1");
  co_await respond(status, headers, error.body);
}

Task<void> Connection::linger(Duration duration_max) {
  enter(Phase::lingering);
  stream_->end_write();
  linger_until_ = core_->net.now() + duration_max;
  deadline_.set(core_->net.now() + core_->options.linger);
  while (phase_ == Phase::lingering) co_await wake_.wait();
}

void Connection::forget_request() {
  parser_.reset();
  core_->bodies_bytes -= std::exchange(counted_bytes_, 0);
  continued_ = false;
}

void Connection::next_request() {
  answer_ = Answer::none;
  sent_ = false;
  enter(Phase::idle);
  deadline_.set(core_->net.now() + core_->options.idle);
  if (!pending_.empty()) feed(std::exchange(pending_, {}));
}

}  // namespace truekeel::http
