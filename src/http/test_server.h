// SPDX-License-Identifier: Apache-2.0
// For tests of the server: one that runs as long as a test's coroutine. Thread safety: one thread.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "http/server.h"
#include "http/test_net.h"

namespace truekeel::http {

inline const Headers kText{{"content-type", "text/plain"}};

inline Task<void> echo(Exchange& exchange) {
  co_await exchange.respond(200, kText, exchange.request().target + " " + exchange.body());
}

class ServerTest : public NetTest {
 protected:
  /// Starts a server, and runs the test's coroutine with it.
  void serve(Handler handler, std::function<Task<void>()> body, ServerOptions options = {}) {
    if (!date_) options.date = false;  // most tests compare whole answers
    server_ = std::make_unique<Server>(net(), std::move(options), std::move(handler));
    port_ = server_->listen(any()).value();
    run(std::move(body));
    const Instant soon = net().now() + std::chrono::milliseconds(1);
    run([this, soon] { return server_->drain(soon); });
    EXPECT_EQ(server_->connections(), 0U);
    EXPECT_EQ(server_->exchanges(), 0U);
  }

  std::unique_ptr<Stream> dial() { return net("client").dial(at(port_)); }

  /// Sends the bytes on a new connection, and returns what comes until its end.
  Task<std::string> ask(std::string bytes) {
    const auto stream = dial();
    co_await put(*stream, std::move(bytes));
    co_return co_await get(*stream);
  }

  Server& server() { return *server_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  void want_date() { date_ = true; }

 private:
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
  bool date_ = false;
};

}  // namespace truekeel::http
