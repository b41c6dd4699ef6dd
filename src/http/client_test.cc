// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <memory>
#include <string>
#include <vector>

#include "http/server.h"
#include "http/signal.h"
#include "http/test_net.h"

namespace truekeel::http {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

const RequestHead kGet{.method = "GET", .target = "/", .headers = {}};
const RequestHead kPost{.method = "POST", .target = "/", .headers = {}};
constexpr std::size_t kAny = 1 << 30;

class ClientTest : public NetTest {
 protected:
  /// Runs the body with a client, and a server of which every connection runs `play`: no HTTP but what it
  /// says.
  void against(std::function<Task<void>(Stream&)> play, std::function<Task<void>(Client&)> body) {
    auto listener = net().listen(any(), Sharing::first).value();
    port_ = listener->port();
    spawn(net(), accept_all(*listener, play));
    run([&]() -> Task<void> {
      {
        Client client(net("client"), {});
        co_await body(client);
      }
      listener->close();
      co_await until([&] { return playing_ == 0; });
    });
  }

  /// The same with our own server.
  void against_server(Handler handler, std::function<Task<void>(Client&)> body, ServerOptions options = {}) {
    Server server(net(), std::move(options), std::move(handler));
    port_ = server.listen(any()).value();
    run([&]() -> Task<void> {
      {
        Client client(net("client"), {});
        co_await body(client);
        connections_ = server.connections();
      }
      co_await server.drain(net().now() + milliseconds(50));
    });
  }

  Endpoint to() const { return at(port_); }
  std::size_t plays() const { return plays_; }
  std::size_t connections() const { return connections_; }

 private:
  Task<void> accept_all(Listener& listener, std::function<Task<void>(Stream&)>& play) {
    ++playing_;
    while (auto stream = co_await listener.accept()) spawn(net(), play_on(std::move(stream), play));
    --playing_;
  }
  Task<void> play_on(std::unique_ptr<Stream> stream, std::function<Task<void>(Stream&)>& play) {
    ++playing_;
    ++plays_;
    co_await play(*stream);
    --playing_;
  }

  std::uint16_t port_ = 0;
  int playing_ = 0;
  std::size_t plays_ = 0;
  std::size_t connections_ = 0;
};

std::string kind(const auto& result) {
  static const char* const kNames[] = {"invalid",     "exhausted",          "connect", "connect_timeout",
                                       "no_response", "first_byte_timeout", "broken",  "idle_timeout",
                                       "protocol",    "cancelled"};
  return result ? "none" : kNames[static_cast<int>(result.error().kind)];
}

Task<void> echo(Exchange& exchange) {
  exchange.start(200, {{"x-method", exchange.request().method}});
  co_await exchange.write(exchange.body());
  co_await exchange.finish();
}

TEST_P(ClientTest, CallsAndKeepsOneConnection) {
  against_server(echo, [this](Client& client) -> Task<void> {
    for (const std::size_t size : {0U, 1U, 100'000U, 3'000'000U}) {
      const std::string body(size, 'x');
      Call call(client);
      EXPECT_EQ(kind(co_await call.send(to(), kPost, body, {})), "none");
      EXPECT_EQ(call.head().status, 200);
      EXPECT_EQ(call.head().headers.find("X-Method"), "POST");
      const auto got = co_await call.read_all(kAny);
      EXPECT_TRUE(got && *got == body);
    }
    EXPECT_EQ(client.kept(), 1U);
  });
  EXPECT_EQ(connections(), 1U);
}

TEST_P(ClientTest, WritesAProperRequest) {
  std::string got;
  const auto play = [&](Stream& stream) -> Task<void> {
    got = co_await get(stream, "body");
    co_await put(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  };
  against(play, [this](Client& client) -> Task<void> {
    const RequestHead head{.method = "POST",
                           .target = "/a?b",
                           .headers = {{"X-A", "1"},
                                       {"Connection", "close, x-hop"},
                                       {"X-Hop", "2"},
                                       {"Expect", "100-continue"},
                                       {"Content-Length", "9"},
                                       {"TE", "trailers"},
                                       {"X-A", "3"}}};
    Call call(client);
    EXPECT_EQ(kind(co_await call.send(to(), head, "body", {})), "none");
  });
  EXPECT_EQ(got, "POST /a?b HTTP/1.1\r\nhost: " + authority(to()) +
                     "\r\nX-A: 1\r\nX-A: 3\r\ncontent-length: 4\r\n\r\nbody");
}

TEST_P(ClientTest, SendsNothingThatWouldSplitTheRequest) {
  against_server(echo, [this](Client& client) -> Task<void> {
    for (const RequestHead& head :
         {RequestHead{.method = "GET /", .target = "/", .headers = {}},
          RequestHead{.method = "GET", .target = "/ HTTP/1.1\r\nA: b", .headers = {}},
          RequestHead{.method = "GET", .target = "/", .headers = {{"a", "b\nc: d"}}}}) {
      Call call(client);
      EXPECT_EQ(kind(co_await call.send(to(), head, "", {})), "invalid");
    }
  });
  EXPECT_EQ(connections(), 0U);
}

TEST_P(ClientTest, HandsOutEachPieceAsItComes) {
  Signal go(net().context());
  const auto handler = [&](Exchange& exchange) -> Task<void> {
    exchange.start(200, {});
    for (const char* piece : {"one", "two"}) {
      co_await exchange.write(piece);
      co_await go.wait();
    }
    co_await exchange.finish("three");
  };
  against_server(handler, [&](Client& client) -> Task<void> {
    Call call(client);
    EXPECT_EQ(kind(co_await call.send(to(), kGet, "", {})), "none");
    for (const char* piece : {"one", "two", "three", ""}) {
      EXPECT_EQ((co_await call.read()).value_or("failed"), piece);
      go.notify();
    }
    EXPECT_EQ((co_await call.read()).value_or("failed"), "");
  });
}

struct Play {
  const char* answer;
  const char* expected;  ///< the failure of send or of read_all
};

TEST_P(ClientTest, TellsFailuresApart) {
  const Play plays[] = {
      {"", "no_response"},
      {"HTTP/1.1 20", "broken"},
      {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", "broken"},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "broken"},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nx", "protocol"},
      {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "protocol"},
      {"220 mail ESMTP\r\n", "protocol"},
      {"HTTP/1.1 200 OK\r\n\r\nabc", "none"},
  };
  for (const Play& one : plays) {
    const auto play = [&](Stream& stream) -> Task<void> {
      co_await get(stream, "\r\n\r\n");
      co_await put(stream, one.answer);
      stream.end_write();
      co_await get(stream);
    };
    against(play, [&](Client& client) -> Task<void> {
      Call call(client);
      const auto sent = co_await call.send(to(), kGet, "", {});
      if (!sent) {
        EXPECT_EQ(kind(sent), one.expected) << one.answer;
      } else {
        EXPECT_EQ(kind(co_await call.read_all(kAny)), one.expected) << one.answer;
      }
    });
  }
}

TEST_P(ClientTest, AResetWithinTheBodyIsBroken) {
  const auto play = [&](Stream& stream) -> Task<void> {
    co_await get(stream, "\r\n\r\n");
    co_await put(stream, "HTTP/1.1 200 OK\r\n\r\nabc");
    co_await pause(milliseconds(5));
    stream.reset();
  };
  against(play, [&](Client& client) -> Task<void> {
    Call call(client);
    EXPECT_EQ(kind(co_await call.send(to(), kGet, "", {})), "none");
    EXPECT_EQ(kind(co_await call.read_all(kAny)), "broken");
  });
}

TEST_P(ClientTest, ARefusedConnectionHasSentNothing) {
  against_server(echo, [this](Client& client) -> Task<void> {
    Call call(client);
    Endpoint nobody = to();
    nobody.port = 1;
    const auto sent = co_await call.send(nobody, kPost, "body", {});
    EXPECT_EQ(kind(sent), "connect");
    EXPECT_TRUE(sent.error().nothing_sent());
    EXPECT_THAT(sent.error().message, HasSubstr("refused"));
    if (GetParam() == NetKind::tcp) {
      Call lookup(client);
      EXPECT_EQ(kind(co_await lookup.send({"no-such-host.invalid", 80}, kGet, "", {})), "connect");
    }
  });
}

/// The process has no file left to open; what is open stays so.
class NoFilesLeft {
 public:
  NoFilesLeft() {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoFilesLeft() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoFilesLeft(const NoFilesLeft&) = delete;
  NoFilesLeft& operator=(const NoFilesLeft&) = delete;

 private:
  rlimit before_{};
};

TEST_P(ClientTest, WhatIsShortHereIsNoFailureOfTheServer) {
  against_server([](Exchange& exchange) -> Task<void> { co_await exchange.respond(200, {}, ""); },
                 [this](Client& client) -> Task<void> {
                   world().set_faults({.exhausted = 1});
                   const bool real = GetParam() == NetKind::tcp;
                   for (const char* host : {"127.0.0.1", "localhost", "no.such.name.invalid"}) {
                     const Endpoint there{real ? host : to().host, to().port};
                     Call call(client);
                     const auto none = real ? std::make_unique<NoFilesLeft>() : nullptr;
                     const auto sent = co_await call.send(there, kGet, "", {});
                     EXPECT_EQ(kind(sent), "exhausted") << host;
                     EXPECT_TRUE(sent || sent.error().nothing_sent());
                   }
                   world().set_faults({});
                   Call call(client);
                   EXPECT_EQ(kind(co_await call.send(to(), kGet, "", {})), "none");
                 });
}

TEST_P(ClientTest, EachPhaseHasItsLimit) {
  const CallOptions options{
      .connect = milliseconds(60), .first_byte = milliseconds(60), .idle = milliseconds(60)};
  const auto play = [&](Stream& stream) -> Task<void> {
    const std::string head = co_await get(stream, "\r\n\r\n");
    if (head.starts_with("GET")) co_await put(stream, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc");
    if (head.starts_with("PUT")) {
      while (co_await stream.writable() && stream.peer() != "") co_await pause(milliseconds(300));
    }
    co_await get(stream);
  };
  against(play, [&](Client& client) -> Task<void> {
    {
      Call call(client);
      EXPECT_EQ(kind(co_await call.send(to(), kPost, "", options)), "first_byte_timeout");
    }
    {
      Call call(client);
      EXPECT_EQ(kind(co_await call.send(to(), kGet, "", options)), "none");
      EXPECT_EQ(kind(co_await call.read_all(kAny)), "idle_timeout");
    }
    {
      Call call(client);
      CallOptions short_call;
      short_call.deadline = net().now() + milliseconds(60);
      EXPECT_EQ(kind(co_await call.send(to(), kPost, "", short_call)), "first_byte_timeout");
    }
    if (GetParam() == NetKind::sim) {
      world().set_faults({.lost = 1});
      Call call(client);
      EXPECT_EQ(kind(co_await call.send(to(), kGet, "", options)), "connect_timeout");
      world().set_faults({});
    }
  });
}

// A caller that is slow itself, because its own client is, must not lose the connection for it.
TEST_P(ClientTest, ASlowCallerIsNoIdleServer) {
  against_server(echo, [this](Client& client) -> Task<void> {
    const std::string body(1 << 20, 'x');
    Call call(client);
    EXPECT_EQ(kind(co_await call.send(to(), kPost, body, {.idle = milliseconds(60)})), "none");
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(co_await call.read());
    co_await pause(milliseconds(300));
    EXPECT_EQ(kind(co_await call.read_all(kAny)), "none");
  });
}

TEST_P(ClientTest, CancelEndsEveryPhaseAndClosesTheConnection) {
  Signal reached(net().context());
  int closed = 0;
  const auto play = [&](Stream& stream) -> Task<void> {
    const std::string head = co_await get(stream, "\r\n\r\n");
    if (head.starts_with("GET")) co_await put(stream, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc");
    reached.notify();
    if (head.starts_with("PUT")) co_await pause(milliseconds(20));
    co_await get(stream);
    ++closed;
  };
  against(play, [&](Client& client) -> Task<void> {
    const RequestHead big{.method = "PUT", .target = "/", .headers = {}};
    for (const RequestHead* head : {&kPost, &kGet, &big}) {
      Call call(client);
      spawn(net(), [](Call& c, Signal& s) -> Task<void> {
        co_await s.wait();
        c.cancel();
      }(call, reached));
      const std::string body(head == &big ? 64 << 20 : 0, 'x');
      const auto sent = co_await call.send(to(), *head, body, {});
      EXPECT_EQ(sent ? kind(co_await call.read_all(kAny)) : kind(sent), "cancelled");
      EXPECT_EQ(kind(co_await call.send(to(), kGet, "", {})), "cancelled");
    }
    Call never(client);
    never.cancel();
    EXPECT_EQ(kind(co_await never.send(to(), kGet, "", {})), "cancelled");
    if (GetParam() == NetKind::sim) {
      world().set_faults({.lost = 1});
      Call call(client);
      spawn(net(), [](Net& n, Call& c) -> Task<void> {
        co_await n.sleep_until(n.now() + milliseconds(1));
        c.cancel();
      }(net(), call));
      EXPECT_EQ(kind(co_await call.send(to(), kGet, "", {})), "cancelled");
      world().set_faults({});
    }
    EXPECT_EQ(client.kept(), 0U);
    co_await until([&] { return closed == 3; });
  });
}

TEST_P(ClientTest, DropsAKeptConnectionThatTheServerHasClosed) {
  const auto play = [&](Stream& stream) -> Task<void> {
    co_await get(stream, "\r\n\r\n");
    co_await put(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na");
    stream.end_write();
    co_await get(stream);
  };
  against(play, [&](Client& client) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      Call call(client);
      EXPECT_EQ(kind(co_await call.send(to(), kPost, "", {})), "none");
      EXPECT_EQ(kind(co_await call.read_all(kAny)), "none");
      co_await pause(milliseconds(10));
    }
  });
  EXPECT_EQ(plays(), 3U);
}

// The server closes at the very moment of the second request: only the caller knows whether it may be
// repeated.
TEST_P(ClientTest, RepeatsOnAStaleConnectionOnlyWhatIsIdempotent) {
  const auto play = [&](Stream& stream) -> Task<void> {
    co_await get(stream, "\r\n\r\n");
    co_await put(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na");
    co_await get(stream, "\r\n\r\n");
  };
  against(play, [&](Client& client) -> Task<void> {
    for (const bool idempotent : {false, true}) {
      {
        Call first(client);
        EXPECT_EQ(kind(co_await first.send(to(), kGet, "", {})), "none");
        EXPECT_EQ(kind(co_await first.read_all(kAny)), "none");
      }
      Call second(client);
      const auto sent = co_await second.send(to(), kGet, "", {.idempotent = idempotent});
      EXPECT_EQ(kind(sent), idempotent ? "none" : "no_response");
    }
  });
  EXPECT_EQ(plays(), 3U);
}

TEST_P(ClientTest, DoesNotReuseWhatIsNotClean) {
  const auto play = [&](Stream& stream) -> Task<void> {
    co_await get(stream, "\r\n\r\n");
    co_await put(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
    co_await get(stream);
  };
  against(play, [&](Client& client) -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      Call call(client);
      EXPECT_EQ(kind(co_await call.send(to(), kGet, "", {})), "none");
      EXPECT_EQ((co_await call.read_all(kAny)).value_or("failed"), "a");
    }
  });
  EXPECT_EQ(plays(), 2U);
}

TEST_P(ClientTest, DoesNotReuseWhatIsReadInPart) {
  const auto play = [&](Stream& stream) -> Task<void> {
    co_await get(stream, "\r\n\r\n");
    co_await put(stream, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab");
    co_await get(stream);
  };
  against(play, [&](Client& client) -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      Call call(client);
      EXPECT_EQ(kind(co_await call.send(to(), kGet, "", {.first_byte = milliseconds(500)})), "none");
    }
    EXPECT_EQ(client.kept(), 0U);
  });
  EXPECT_EQ(plays(), 2U);
}

TEST_P(ClientTest, HearsWhyALargeRequestIsRefused) {
  ServerOptions options;
  options.parser.body_bytes = 1000;
  against_server(
      echo,
      [this](Client& client) -> Task<void> {
        Call call(client);
        EXPECT_EQ(kind(co_await call.send(to(), kPost, std::string(8'000'000, 'x'), {})), "none");
        EXPECT_EQ(call.head().status, 413);
      },
      options);
}

TEST_P(ClientTest, LimitsWhatItCollects) {
  against_server(echo, [this](Client& client) -> Task<void> {
    Call call(client);
    EXPECT_EQ(kind(co_await call.send(to(), kPost, std::string(1000, 'x'), {})), "none");
    EXPECT_EQ(kind(co_await call.read_all(999)), "protocol");
  });
}

TEST_P(ClientTest, ForgetsIdleConnectionsInTime) {
  against_server(echo, [this](Client&) -> Task<void> {
    Client client(net("client"), {.kept_per_endpoint = 1, .kept = milliseconds(60)});
    {
      Call one(client), two(client);
      for (Call* call : {&one, &two}) {
        EXPECT_EQ(kind(co_await call->send(to(), kGet, "", {})), "none");
        EXPECT_EQ(kind(co_await call->read_all(kAny)), "none");
      }
    }
    EXPECT_EQ(client.kept(), 1U);
    co_await until([&] { return client.kept() == 0; });
  });
}

// The way of a gateway: the client leaves, the call to the server behind is cancelled, and that server sees
// it.
TEST_P(ClientTest, ALeavingClientCancelsTheCallBehind) {
  bool seen = false;
  Server behind(net("behind"), {}, [&](Exchange& exchange) -> Task<void> {
    Signal left(net().context());
    exchange.on_gone([&] { left.notify(); });
    co_await left.wait();
    seen = true;
  });
  const std::uint16_t port = behind.listen(any()).value();
  const Endpoint upstream{GetParam() == NetKind::tcp ? "127.0.0.1" : "behind", port};
  Client inner(net(), {});
  const auto handler = [&](Exchange& exchange) -> Task<void> {
    Call call(inner);
    exchange.on_gone([&] { call.cancel(); });
    EXPECT_EQ(kind(co_await call.send(upstream, kPost, exchange.body(), {})), "cancelled");
  };
  against_server(handler, [&](Client&) -> Task<void> {
    const auto stream = net("client").dial(to());
    co_await put(*stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await until([&] { return behind.exchanges() == 1; });
    stream->close();
    co_await until([&] { return seen; });
    co_await behind.drain(net().now());
  });
}

INSTANTIATE_TEST_SUITE_P(, ClientTest, testing::Values(NetKind::tcp, NetKind::sim, NetKind::tls), net_name);

}  // namespace
}  // namespace truekeel::http
