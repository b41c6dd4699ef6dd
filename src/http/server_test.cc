// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "http/signal.h"
#include "http/test_server.h"

namespace truekeel::http {
namespace {

using std::chrono::milliseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
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
