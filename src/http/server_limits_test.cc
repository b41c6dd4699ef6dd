// SPDX-License-Identifier: Apache-2.0
// The server's limits of size, time and number: nobody gets more than his share.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/assert.h"
#include "http/signal.h"
#include "http/test_server.h"

namespace truekeel::http {
namespace {

using std::chrono::milliseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class ServerLimitsTest : public ServerTest {};
/// Simulated, no byte comes before its connection is accepted.
class TcpServerLimitsTest : public ServerTest {};

TEST_P(ServerLimitsTest, RefusesABodyOverTheLimitAndIsHeard) {
  ServerOptions options;
  options.parser.body_bytes = 1000;
  serve(
      echo,
      [this]() -> Task<void> {
        EXPECT_THAT(
            co_await ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n" +
                         std::string(1000, 'x')),
            StartsWith("HTTP/1.1 200"));
        EXPECT_THAT(co_await ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n" +
                                 std::string(8'000'000, 'x')),
                    StartsWith("HTTP/1.1 413"));
      },
      options);
}

TEST_P(ServerLimitsTest, RefusesBodiesThatAreTooManyTogether) {
  ServerOptions options;
  options.bodies_bytes = 1000;
  serve(
      echo,
      [this]() -> Task<void> {
        const std::string head =
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 900\r\n\r\n";
        const auto first = dial();
        co_await put(*first, head + std::string(800, 'x'));
        co_await pause(milliseconds(20));
        const std::string second = co_await ask(head + std::string(300, 'x'));
        EXPECT_THAT(second, StartsWith("HTTP/1.1 503"));
        EXPECT_THAT(second, HasSubstr("retry-after: 1\r\n"));
        co_await put(*first, std::string(100, 'x'));
        EXPECT_THAT(co_await get(*first), StartsWith("HTTP/1.1 200"));
        // What was refused, answered or broken off counts no more.
        const auto third = dial();
        co_await put(*third, head + std::string(800, 'x'));
        co_await pause(milliseconds(20));
        co_await put(*third, std::string(100, 'x'));
        EXPECT_THAT(co_await get(*third), StartsWith("HTTP/1.1 200"));
      },
      options);
}

TEST_P(ServerLimitsTest, CutsWhoIsSlowOrSilent) {
  ServerOptions options;
  options.header = options.body = options.idle = milliseconds(100);
  serve(
      echo,
      [this]() -> Task<void> {
        EXPECT_EQ(co_await ask(""), "");
        EXPECT_THAT(co_await ask("GET / HTTP/1.1\r\nHos"), StartsWith("HTTP/1.1 408"));
        EXPECT_THAT(co_await ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nh"),
                    StartsWith("HTTP/1.1 408"));
        EXPECT_THAT(co_await ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"), EndsWith("/a "));
      },
      options);
}

TEST_P(ServerLimitsTest, ALorisIsCutHoweverItDrips) {
  ServerOptions options;
  options.header = options.linger = milliseconds(100);
  serve(
      echo,
      [this]() -> Task<void> {
        const auto stream = dial();
        // Within one field, so that no other limit ends it.
        bool open = co_await put(*stream, "GET / HTTP/1.1\r\nX: ");
        for (int i = 0; open && i < 1000; ++i) {
          co_await pause(milliseconds(5));
          open = co_await put(*stream, "x") && server().connections() > 0;
        }
        EXPECT_FALSE(open);
      },
      options);
}

TEST_P(ServerLimitsTest, ASlowReaderSlowsTheHandlerAndIsCut) {
  ServerOptions options;
  options.idle = milliseconds(100);
  std::size_t written = 0;
  const auto handler = [&](Exchange& exchange) -> Task<void> {
    const std::string piece(64 << 10, 'x');
    exchange.start(200, kText);
    while (co_await exchange.write(piece)) written += piece.size();
  };
  serve(
      handler,
      [&]() -> Task<void> {
        const auto stream = dial();
        co_await put(*stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        co_await until([&] { return server().exchanges() == 1; });
        co_await until([&] { return server().connections() == 0; });
      },
      options);
  EXPECT_LT(written, 32U << 20);
}

TEST_P(ServerLimitsTest, APipelineDoesNotFillTheMemory) {
  std::size_t sent = 0;
  const auto handler = [&](Exchange& exchange) -> Task<void> {
    Signal left(net().context());
    exchange.on_gone([&] { left.notify(); });
    co_await left.wait();
  };
  serve(handler, [&]() -> Task<void> {
    const auto stream = dial();
    const std::string flood(64 << 10, '\n');
    co_await put(*stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await until([&] { return server().exchanges() == 1; });
    const std::string_view piece = flood;
    // Until nothing more fits for a while.
    for (int silent = 0; silent < 20;) {
      const Attempt attempt = stream->write_now({&piece, 1});
      sent += attempt.bytes;
      silent = attempt.bytes > 0 ? 0 : silent + 1;
      EXPECT_LT(sent, 32U << 20);
      if (sent >= 32U << 20) break;
      co_await pause(milliseconds(1));
    }
    stream->reset();
  });
}

TEST_P(ServerLimitsTest, GivesThePlaceOfAnIdleConnectionToANewOne) {
  ServerOptions options;
  options.connections = 2;
  Signal go(net().context());
  const auto handler = [&](Exchange& exchange) -> Task<void> {
    if (exchange.request().target == "/wait") co_await go.wait();
    co_await echo(exchange);
  };
  serve(
      handler,
      [&]() -> Task<void> {
        const auto busy = dial();
        co_await put(*busy, "GET /wait HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        co_await until([&] { return server().exchanges() == 1; });
        const auto idle = dial();
        co_await put(*idle, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        co_await get(*idle, "/a ");
        const auto late = dial();
        co_await put(*late, "GET /b HTTP/1.1\r\nHost: h\r\n\r\nGET /half");
        EXPECT_THAT(co_await get(*late, "/b "), EndsWith("/b "));
        EXPECT_EQ(co_await get(*idle), "");
        co_await pause(milliseconds(20));
        // Over TLS there are no words before the handshake, and no place for one.
        EXPECT_THAT(co_await ask(""), StartsWith(GetParam() == NetKind::tls ? "<failed>" : "HTTP/1.1 503"));
        go.notify();
        EXPECT_THAT(co_await get(*busy), EndsWith("/wait "));
      },
      options);
}

TEST_P(ServerLimitsTest, ARequestThatIsHereKeepsItsPlace) {
  ServerOptions options;
  options.connections = 1;
  Signal go(net().context());
  std::string told;
  const auto handler = [&](Exchange& exchange) -> Task<void> {
    if (exchange.request().target == "/wait") co_await go.wait();
    co_await echo(exchange);
  };
  const auto come_late = [&]() -> Task<void> { told = co_await ask(""); };
  serve(
      handler,
      [&]() -> Task<void> {
        const auto first = dial();
        co_await put(*first, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        co_await get(*first, "/a ");
        // Simulated, the newcomer and the request arrive at one instant, the newcomer first.
        if (GetParam() != NetKind::tcp) spawn(net(), come_late());
        co_await put(*first, "GET /wait HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        if (GetParam() == NetKind::tcp) spawn(net(), come_late());
        co_await until([&] { return !told.empty(); });
        EXPECT_THAT(told, StartsWith(GetParam() == NetKind::tls ? "<failed>" : "HTTP/1.1 503"));
        go.notify();
        EXPECT_THAT(co_await get(*first), EndsWith("/wait "));
      },
      options);
}

/// What a client reads, to the end, that says all before its connection is accepted.
Task<std::string> ask_before_accepted(Net& net, std::uint16_t port, std::string_view bytes) {
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  TK_ASSERT(client >= 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  EXPECT_EQ(::send(client, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  std::string got;
  char buffer[4096];
  while (true) {
    const ssize_t n = ::recv(client, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
      co_await net.sleep_until(net.now() + milliseconds(1));
      continue;
    }
    if (n < 0) got += "<failed>";
    if (n <= 0) break;
    got.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(client);
  co_return got;
}

TEST_P(TcpServerLimitsTest, ARefusalIsNotDestroyedByTheRequestThatIsHere) {
  ServerOptions options;
  options.connections = 0;
  serve(
      echo,
      [this]() -> Task<void> {
        const auto told = co_await ask_before_accepted(net(), port(), "GET / HTTP/1.1\r\n");
        EXPECT_THAT(told, StartsWith("HTTP/1.1 503"));
        EXPECT_THAT(told, EndsWith("too many connections; try again\n"));
      },
      options);
}

INSTANTIATE_TEST_SUITE_P(, ServerLimitsTest, testing::Values(NetKind::tcp, NetKind::sim, NetKind::tls),
                         net_name);
INSTANTIATE_TEST_SUITE_P(, TcpServerLimitsTest, testing::Values(NetKind::tcp), net_name);

}  // namespace
}  // namespace truekeel::http
