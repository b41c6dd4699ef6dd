// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "http/signal.h"
#include "http/test_net.h"

namespace truekeel::http {
namespace {

using std::chrono::milliseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const Headers kText{{"content-type", "text/plain"}};

Task<void> echo(Exchange& exchange) {
  co_await exchange.respond(200, kText, exchange.request().target + " " + exchange.body());
}

class ServerTest : public NetTest {
 protected:
  /// Starts a server, and runs the test's coroutine with it.
  void serve(Handler handler, std::function<Task<void>()> body, ServerOptions options = {}) {
    if (!date_) options.date = false;  // most tests compare whole answers
    server_ = std::make_unique<Server>(net(), std::move(options), std::move(handler));
    port_ = server_->listen(any()).value();
    run(body);
    const Instant soon = net().now() + milliseconds(1);
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
  void want_date() { date_ = true; }

 private:
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
  bool date_ = false;
};

TEST_P(ServerTest, AnswersAndKeepsTheConnection) {
  serve(echo, [this]() -> Task<void> {
    const auto stream = dial();
    co_await put(*stream, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_EQ(co_await get(*stream, "/a hi"),
              "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\n/a hi");
    co_await put(*stream, "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(
        co_await get(*stream),
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\nconnection: close\r\n\r\n/b ");
  });
}

TEST_P(ServerTest, AnswersPipelinedRequestsInOrder) {
  serve(echo, [this]() -> Task<void> {
    const std::string got = co_await ask(
        "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"
        "GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(got, testing::ContainsRegex("/1 HTTP(.|\n)*/2 xHTTP(.|\n)*/3 $"));
  });
}

TEST_P(ServerTest, TakesARequestByteByByte) {
  serve(echo, [this]() -> Task<void> {
    const auto stream = dial();
    for (const char byte : std::string("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")) {
      co_await put(*stream, std::string(1, byte));
    }
    EXPECT_THAT(co_await get(*stream, "/a hi"), EndsWith("/a hi"));
  });
}

TEST_P(ServerTest, AnswersByTheHeadAloneWhereNoBodyIsTaken) {
  ServerOptions options;
  options.takes_body = [](const RequestHead& head) { return head.target != "/refused"; };
  serve(
      echo,
      [this]() -> Task<void> {
        const auto stream = dial();
        co_await put(
            *stream,
            "POST /refused HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n{");
        EXPECT_EQ(
            co_await get(*stream),
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 9\r\nconnection: close\r\n\r\n"
            "/refused ")
            << "before the rest has come, without a 100, and for the last time";
        EXPECT_THAT(
            co_await ask(
                "POST /taken HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"),
            EndsWith("/taken hi"));
      },
      std::move(options));
}

TEST_P(ServerTest, StreamsInChunks) {
  const auto handler = [](Exchange& exchange) -> Task<void> {
    exchange.start(200, kText);
    EXPECT_FALSE(exchange.started());
    co_await exchange.write("ab");
    EXPECT_TRUE(exchange.started());
    co_await exchange.write("");
    const std::string_view pieces[] = {"c", "", "0123456789abcdef"};
    co_await exchange.write(pieces);
    co_await exchange.finish("z");
  };
  serve(handler, [this]() -> Task<void> {
    EXPECT_EQ(co_await ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\nconnection: "
              "close\r\n\r\n"
              "2\r\nab\r\n11\r\nc0123456789abcdef\r\n1\r\nz\r\n0\r\n\r\n");
    EXPECT_EQ(co_await ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
              "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nabc0123456789abcdefz");
    EXPECT_EQ(co_await ask("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n");
  });
}

TEST_P(ServerTest, FramesByAStatedLength) {
  const auto handler = [](Exchange& exchange) -> Task<void> {
    exchange.start(200,
                   {{"Content-Length", "3"}, {"Connection", "x-hop"}, {"X-Hop", "1"}, {"Retry-After", "7"}});
    co_await exchange.write("ab");
    co_await exchange.finish("c");
  };
  serve(handler, [this]() -> Task<void> {
    EXPECT_EQ(co_await ask("GET / HTTP/1.0\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nRetry-After: 7\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc");
  });
}

TEST_P(ServerTest, SaysTheDateUnlessTheHandlerDoes) {
  want_date();
  const auto handler = [](Exchange& exchange) -> Task<void> {
    co_await exchange.respond(200, exchange.request().target == "/own" ? Headers{{"Date", "x"}} : Headers{},
                              "");
  };
  serve(handler, [this]() -> Task<void> {
    EXPECT_THAT(co_await ask("GET / HTTP/1.0\r\n\r\n"),
                testing::ContainsRegex("\r\ndate: ..., .. ... 20.. ..:..:.. GMT\r\n"));
    EXPECT_THAT(co_await ask("GET /own HTTP/1.0\r\n\r\n"),
                testing::AllOf(HasSubstr("\r\nDate: x\r\n"), testing::Not(HasSubstr("date: "))));
  });
}

TEST_P(ServerTest, AHeadRequestGetsTheHeadAlone) {
  serve(echo, [this]() -> Task<void> {
    EXPECT_EQ(
        co_await ask("HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\nconnection: close\r\n\r\n");
  });
}

TEST_P(ServerTest, KeepsAnHttp10ConnectionThatAsksForIt) {
  serve(echo, [this]() -> Task<void> {
    const auto stream = dial();
    co_await put(*stream, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_THAT(co_await get(*stream, "/a "), HasSubstr("connection: keep-alive\r\n"));
    co_await put(*stream, "GET /b HTTP/1.0\r\n\r\n");
    EXPECT_THAT(co_await get(*stream), EndsWith("/b "));
  });
}

TEST_P(ServerTest, BidsTheClientContinue) {
  serve(echo, [this]() -> Task<void> {
    const auto stream = dial();
    co_await put(*stream, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(co_await get(*stream, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    co_await put(*stream, "hi");
    EXPECT_THAT(co_await get(*stream, "/ hi"), StartsWith("HTTP/1.1 200 OK"));
  });
}

TEST_P(ServerTest, RefusesInTheShapeThatOptionsGiveAndCloses) {
  ServerOptions options;
  options.error_body = [](int status, std::string_view message, std::string_view target) {
    return ErrorBody{"application/json",
                     std::to_string(status) + "|" + std::string(message) + "|" + std::string(target)};
  };
  serve(
      echo,
      [this]() -> Task<void> {
        EXPECT_EQ(
            co_await ask("GET /v1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 32\r\n"
            "connection: close\r\n\r\n400|more than one Host field|/v1");
      },
      options);
}

// The client sends on for longer than all buffers hold, and reads only then: the refusal must survive that.
TEST_P(ServerTest, RefusesABodyOverTheLimitAndIsHeard) {
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

TEST_P(ServerTest, RefusesBodiesThatAreTooManyTogether) {
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

TEST_P(ServerTest, CutsWhoIsSlowOrSilent) {
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

TEST_P(ServerTest, ALorisIsCutHoweverItDrips) {
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

TEST_P(ServerTest, TellsAtOnceWhenTheClientLeaves) {
  bool told = false;
  const auto handler = [&](Exchange& exchange) -> Task<void> {
    Signal left(net().context());
    exchange.on_gone([&] {
      told = true;
      left.notify();
    });
    co_await left.wait();
    EXPECT_TRUE(exchange.gone());
    co_await exchange.respond(200, kText, "nobody hears this");
  };
  serve(handler, [&]() -> Task<void> {
    auto stream = dial();
    co_await put(*stream, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await until([&] { return server().exchanges() == 1; });
    stream->close();
    co_await until([&] { return server().connections() == 0; });
  });
  EXPECT_TRUE(told);
}

TEST_P(ServerTest, AClientThatClosesItsHalfStillGetsItsAnswer) {
  serve(echo, [this]() -> Task<void> {
    const auto stream = dial();
    co_await put(*stream, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    stream->end_write();
    EXPECT_THAT(co_await get(*stream), EndsWith("/a "));
  });
}

// What the handler may write ahead is what the kernels hold, whatever it wants to write.
TEST_P(ServerTest, ASlowReaderSlowsTheHandlerAndIsCut) {
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

TEST_P(ServerTest, APipelineDoesNotFillTheMemory) {
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

TEST_P(ServerTest, AHandlerThatThrowsOrForgetsGivesA500) {
  const auto handler = [](Exchange& exchange) -> Task<void> {
    if (exchange.request().target == "/throw") throw std::runtime_error("secret");
    co_return;
  };
  serve(handler, [this]() -> Task<void> {
    for (const char* target : {"/throw", "/forget"}) {
      const std::string got =
          co_await ask("GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      EXPECT_THAT(got, StartsWith("HTTP/1.1 500 "));
      EXPECT_THAT(got, testing::Not(HasSubstr("secret")));
    }
  });
}

TEST_P(ServerTest, SurvivesAnErrorBodyThatThrows) {
  ServerOptions options;
  options.error_body = [](int, std::string_view, std::string_view) -> ErrorBody {
    throw std::runtime_error("no");
  };
  serve(
      echo,
      [this]() -> Task<void> { EXPECT_THAT(co_await ask("junk\r\n\r\n"), testing::AnyOf("", "<failed>")); },
      options);
}

TEST_P(ServerTest, APartNeverPassesForTheWhole) {
  const auto handler = [](Exchange& exchange) -> Task<void> {
    const std::string& target = exchange.request().target;
    if (target == "/long" || target == "/short") {
      exchange.start(200, {{"content-length", "3"}});
      co_await exchange.write("ab");
      if (target == "/long") EXPECT_FALSE(co_await exchange.write("cd"));
      if (target == "/short") EXPECT_FALSE(co_await exchange.finish());
      co_return;
    }
    exchange.start(200, kText);
    co_await exchange.write("ab");
    if (target == "/abort") exchange.abort();
  };
  serve(handler, [this]() -> Task<void> {
    for (const char* target : {"/long", "/short"}) {
      const std::string got = co_await ask("GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n");
      EXPECT_THAT(got, HasSubstr("content-length: 3\r\n\r\nab"));
    }
    for (const char* target : {"/abort", "/return"}) {
      const std::string got = co_await ask("GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n");
      EXPECT_THAT(got, testing::ContainsRegex("2\r\nab\r\n(<failed>)?$"));
      EXPECT_THAT(co_await ask("GET " + std::string(target) + " HTTP/1.0\r\n\r\n"), EndsWith("<failed>"));
    }
  });
}

TEST_P(ServerTest, AnAnswerMayBeReplacedUntilAByteHasLeft) {
  const auto handler = [](Exchange& exchange) -> Task<void> {
    exchange.start(200, kText);
    co_await exchange.respond(502, kText, "no");
    EXPECT_TRUE(exchange.started());
  };
  serve(handler, [this]() -> Task<void> {
    EXPECT_THAT(co_await ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
                testing::AllOf(StartsWith("HTTP/1.1 502"), EndsWith("\r\n\r\nno")));
  });
}

TEST_P(ServerTest, AFieldThatWouldSplitTheAnswerIsLeftOut) {
  const auto handler = [](Exchange& exchange) -> Task<void> {
    co_await exchange.respond(200, {{"a", "b\r\nSet-Cookie: c"}, {"d", "e"}}, "");
  };
  serve(handler, [this]() -> Task<void> {
    EXPECT_EQ(co_await ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nd: e\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  });
}

TEST_P(ServerTest, GivesThePlaceOfAnIdleConnectionToANewOne) {
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

TEST_P(ServerTest, DrainLetsAnswersEndAndCutsTheRest) {
  Signal go(net().context());
  const auto handler = [&](Exchange& exchange) -> Task<void> {
    Signal left(net().context());
    exchange.on_gone([&] { left.notify(); });
    co_await (exchange.request().target == "/never" ? left : go).wait();
    co_await echo(exchange);
  };
  serve(handler, [&]() -> Task<void> {
    const auto idle = dial(), soon = dial(), never = dial();
    co_await idle->writable();
    co_await put(*soon, "GET /soon HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await put(*never, "GET /never HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await until([&] { return server().exchanges() == 2 && server().connections() == 3; });
    spawn(net(), server().drain(net().now() + milliseconds(200)));
    EXPECT_EQ(co_await get(*idle), "");
    go.notify();
    EXPECT_THAT(co_await get(*soon), testing::AllOf(HasSubstr("connection: close\r\n"), EndsWith("/soon ")));
    soon->close();
    EXPECT_THAT(co_await get(*never), testing::AnyOf("", "<failed>"));
    EXPECT_EQ(co_await ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "<failed>");
  });
}

INSTANTIATE_TEST_SUITE_P(, ServerTest, testing::Values(NetKind::tcp, NetKind::sim, NetKind::tls), net_name);

}  // namespace
}  // namespace truekeel::http
