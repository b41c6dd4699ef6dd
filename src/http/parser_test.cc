// SPDX-License-Identifier: Apache-2.0
#include "http/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace truekeel::http {
namespace {

using State = MessageParser::State;

constexpr std::string_view kPost = "POST / HTTP/1.1\r\nHost: a\r\n";

std::string times(std::size_t n, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += text;
  return out;
}

ParserLimits small_limits() {
  return {.head_bytes = 512, .fields = 8, .body_bytes = 64, .extension_bytes = 32};
}

struct Refusal {
  std::string name;
  std::string input;
  int status;
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.input; }

class Refused : public testing::TestWithParam<Refusal> {};

TEST_P(Refused, WithStatusAndReasonHoweverTheInputIsCut) {
  const std::string& input = GetParam().input;
  RequestParser whole(small_limits());
  whole.feed(input);
  ASSERT_EQ(whole.state(), State::failed);
  EXPECT_EQ(whole.rejection().status, GetParam().status) << whole.rejection().reason;
  EXPECT_FALSE(whole.rejection().reason.empty());
  RequestParser bytewise(small_limits());
  for (const char byte : input) bytewise.feed({&byte, 1});
  ASSERT_EQ(bytewise.state(), State::failed);
  EXPECT_EQ(bytewise.rejection().status, whole.rejection().status);
  EXPECT_EQ(bytewise.rejection().reason, whole.rejection().reason);
}

const Refusal kRefusals[] = {
    {"LengthBesideCoding",
     std::string(kPost) + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"CodingBesideLength",
     std::string(kPost) + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
    {"GzipChunked", std::string(kPost) + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
    {"Gzip", std::string(kPost) + "Transfer-Encoding: gzip\r\n\r\n", 400},
    {"Identity", std::string(kPost) + "Transfer-Encoding: identity\r\n\r\n", 400},
    {"Xchunked", std::string(kPost) + "Transfer-Encoding: xchunked\r\n\r\n", 400},
    {"ChunkedTwice", std::string(kPost) + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
    {"CodingTwice", std::string(kPost) + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     400},
    {"CodingEmpty", std::string(kPost) + "Transfer-Encoding: \r\n\r\n", 400},
    {"CodingWithParameter", std::string(kPost) + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400},
    {"ChunkedInHttp10", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"LengthTwice", std::string(kPost) + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400},
    {"LengthList", std::string(kPost) + "Content-Length: 2, 2\r\n\r\nab", 400},
    {"LengthSigned", std::string(kPost) + "Content-Length: +2\r\n\r\nab", 400},
    {"LengthNegative", std::string(kPost) + "Content-Length: -2\r\n\r\nab", 400},
    {"LengthHex", std::string(kPost) + "Content-Length: 0x2\r\n\r\nab", 400},
    {"LengthEmpty", std::string(kPost) + "Content-Length: \r\n\r\n", 400},
    {"LengthOverflow", std::string(kPost) + "Content-Length: 18446744073709551617\r\n\r\n", 400},
    {"NoHost", "GET / HTTP/1.1\r\n\r\n", 400},
    {"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
    {"TwoAuthorizations", std::string(kPost) + "Authorization: a\r\nauthorization: a\r\n\r\n", 400},
    {"HostEmpty", "GET / HTTP/1.1\r\nHost: \r\n\r\n", 400},
    {"HostWithPath", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"HostWithUser", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
    {"HostList", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
    {"HostBadPort", "GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n", 400},
    {"HostLongPort", "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n", 400},
    {"HostOpenBracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
    {"HostJunkAfterBracket", "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400},
    {"HostBareIpv6", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400},
    {"Http09", "GET /\r\n\r\n", 505},
    {"Http12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400},
    {"Http20", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"Http99", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400},
    {"HttpLower", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
    {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"TlsHello", std::string("\x16\x03\x01\x02\x00\x01", 6), 400},
    {"Folded", std::string(kPost) + "X: a\r\n b\r\n\r\n", 400},
    {"FoldedFirst", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"BareLf", "GET / HTTP/1.1\nHost: a\n\n", 400},
    {"BareLfInField", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400},
    {"BareCr", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},
    {"NulInValue", std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 35), 400},
    {"NulInName", std::string("GET / HTTP/1.1\r\nHost: a\r\nX\0: ab\r\n\r\n", 35), 400},
    {"ControlInValue", std::string(kPost) + "X: a\x01\r\n\r\n", 400},
    {"DeleteInValue", std::string(kPost) + "X: a\x7f\r\n\r\n", 400},
    {"SpaceBeforeColon", std::string(kPost) + "X : a\r\n\r\n", 400},
    {"NoColon", std::string(kPost) + "Xa\r\n\r\n", 400},
    {"NoName", std::string(kPost) + ": a\r\n\r\n", 400},
    {"NameWithParenthesis", std::string(kPost) + "X(: a\r\n\r\n", 400},
    {"NulInTarget", std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 29), 400},
    {"ControlInTarget", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"HighByteInTarget", "GET /\xC3\xA4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"Fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"RelativeTarget", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"StarForGet", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"OtherScheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"AbsoluteForAnotherHost", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"AbsoluteWithUser", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"Connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501},
    {"UnknownMethod", "GRAB / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"LowerMethod", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"UnknownExpectation", std::string(kPost) + "Expect: miracles\r\n\r\n", 417},
    {"SecondExpectation", std::string(kPost) + "Expect: 100-continue\r\nExpect: miracles\r\n\r\n", 417},
    {"ChunkSizeJunk", std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n2x\r\nab\r\n0\r\n\r\n", 400},
    {"ChunkSizeSpace", std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n", 400},
    {"ChunkSizePrefix", std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n", 400},
    {"ChunkSizeOverflow",
     std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n", 400},
    {"JunkAfterChunk", std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400},
    {"LfInChunkExtension", std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n2;a\nb\r\nab\r\n0\r\n\r\n",
     400},
    {"BareLfAfterChunkSize", std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n",
     400},
    {"ExtensionsTooLong",
     std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n2;" + times(33, "x") + "\r\nab\r\n0\r\n\r\n",
     400},
    {"ExtensionsOfManyChunks",
     std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n" + times(20, "1;ab\r\nx\r\n") + "0\r\n\r\n",
     400},
    {"HeadTooLong", std::string(kPost) + "X: " + times(600, "x"), 431},
    {"TargetTooLong", "GET /" + times(600, "x"), 414},
    {"BlankLinesForEver", times(600, "\r\n"), 414},
    {"FieldsTooMany", std::string(kPost) + times(8, "X: a\r\n") + "\r\n", 431},
    {"TrailersTooMany",
     std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + times(7, "X: a\r\n") + "\r\n", 431},
    {"TrailersTooLong",
     std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + times(600, "x") + "\r\n\r\n", 400},
    {"BodyStatedTooLong", std::string(kPost) + "Content-Length: 65\r\n\r\n", 413},
    {"BodyChunkedTooLong",
     std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n" + times(65, "1\r\nx\r\n"), 413},
};

INSTANTIATE_TEST_SUITE_P(Requests, Refused, testing::ValuesIn(kRefusals),
                         [](const auto& info) { return info.param.name; });

struct Legal {
  std::string name;
  std::string input;
  std::string method;
  std::string target;
  std::string body;
  bool keep_alive;
};

void PrintTo(const Legal& legal, std::ostream* out) { *out << legal.input; }

class Accepted : public testing::TestWithParam<Legal> {};

TEST_P(Accepted, HoweverTheInputIsCut) {
  const Legal& legal = GetParam();
  const std::string input = legal.input + "GET /next";
  for (std::size_t cut = 0; cut <= legal.input.size(); ++cut) {
    RequestParser parser(small_limits());
    std::size_t taken = parser.feed(std::string_view(input).substr(0, cut));
    ASSERT_EQ(taken, cut);
    taken += parser.feed(std::string_view(input).substr(cut));
    ASSERT_EQ(parser.state(), State::done) << parser.rejection().reason << " cut at " << cut;
    EXPECT_EQ(taken, legal.input.size());
    EXPECT_EQ(parser.head().method, legal.method);
    EXPECT_EQ(parser.head().target, legal.target);
    EXPECT_EQ(parser.body(), legal.body);
    EXPECT_EQ(parser.keep_alive(), legal.keep_alive);
  }
}

const Legal kLegal[] = {
    {"Plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", true},
    {"Query", "GET /a?b=c%20d&e HTTP/1.1\r\nHost: a:8080\r\n\r\n", "GET", "/a?b=c%20d&e", "", true},
    {"BlankLineBefore", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "", true},
    {"Close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET", "/", "", false},
    {"Http10", "GET / HTTP/1.0\r\n\r\n", "GET", "/", "", false},
    {"Http10KeepAlive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "/", "", true},
    {"Ipv6Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET", "/", "", true},
    {"HostEmptyPort", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "GET", "/", "", true},
    {"AbsoluteForm", "GET http://A:80/b?c HTTP/1.1\r\nHost: a:80\r\n\r\n", "GET", "/b?c", "", true},
    {"AbsoluteWithoutPath", "GET http://a?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/?c", "", true},
    {"Options", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", "", true},
    {"Head", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD", "/", "", true},
    {"GetWithBody", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", "GET", "/", "ab", true},
    {"LeadingZeros", std::string(kPost) + "Content-Length: 002\r\n\r\nab", "POST", "/", "ab", true},
    {"BodyAtTheLimit", std::string(kPost) + "Content-Length: 64\r\n\r\n" + times(64, "x"), "POST", "/",
     times(64, "x"), true},
    {"Chunked",
     std::string(kPost) + "transfer-encoding: Chunked\r\n\r\n2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\n", "POST",
     "/", "ab0123456789", true},
    {"ChunkedAtTheLimit",
     std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n" + times(64, "1\r\nx\r\n") + "0\r\n\r\n",
     "POST", "/", times(64, "x"), true},
    {"ChunkExtension",
     std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n2;a=b;c=\"d e\"\r\nab\r\n0;z\r\n\r\n", "POST",
     "/", "ab", true},
    {"Trailers",
     std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: a\r\nY: b\r\n\r\n", "POST",
     "/", "ab", true},
    {"TrailersThatFrame",
     std::string(kPost) + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nHost: b\r\nExpect: x\r\n\r\n",
     "POST", "/", "ab", true},
    {"Upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "GET", "/", "",
     true},
    {"UpgradeWithBody",
     std::string(kPost) + "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nab", "POST",
     "/", "ab", true},
    {"ValueWithHighBytes", "GET / HTTP/1.1\r\nHost: a\r\nX: \xC3\xA4\t\xff\r\n\r\n", "GET", "/", "", true},
};

INSTANTIATE_TEST_SUITE_P(Requests, Accepted, testing::ValuesIn(kLegal),
                         [](const auto& info) { return info.param.name; });

TEST(RequestParser, KeepsFieldsInOrderAndTrimsThem) {
  RequestParser parser({});
  parser.feed("GET / HTTP/1.1\r\nHost: a\r\nx:  1 2 \t\r\nX:\r\nEmpty: \r\n\r\n");
  ASSERT_EQ(parser.state(), State::done) << parser.rejection().reason;
  EXPECT_THAT(
      std::vector<Field>(parser.head().headers.begin(), parser.head().headers.end()),
      testing::ElementsAre(Field{"Host", "a"}, Field{"x", "1 2"}, Field{"X", ""}, Field{"Empty", ""}));
}

TEST(RequestParser, ReadsTheNextRequestAfterReset) {
  RequestParser parser({});
  const std::string_view input =
      "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
  const std::size_t taken = parser.feed(input);
  ASSERT_EQ(parser.state(), State::done);
  parser.reset();
  EXPECT_FALSE(parser.started());
  EXPECT_EQ(taken + parser.feed(input.substr(taken)), input.size());
  ASSERT_EQ(parser.state(), State::done);
  EXPECT_EQ(parser.head().target, "/2");
  EXPECT_EQ(parser.head().headers.find("HOST"), "b");
  EXPECT_EQ(parser.body(), "");
}

TEST(RequestParser, TellsWhoWaitsForContinue) {
  RequestParser parser({});
  parser.feed(std::string(kPost) + "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(parser.state(), State::body);
  EXPECT_TRUE(parser.expects_continue());
}

TEST(RequestParser, TheFirstReasonStays) {
  RequestParser parser({});
  parser.refuse(408, "too slow");
  parser.refuse(503, "too many");
  EXPECT_EQ(parser.rejection().status, 408);
  EXPECT_EQ(parser.feed("GET"), 0U);
}

// Feeds an answer cut into two at every point, then the end of the stream where `ends`.
struct Answer {
  std::string name;
  std::string input;
  bool ends;
  State state;
  int status;
  std::string body;
  bool keep_alive;
};

void PrintTo(const Answer& answer, std::ostream* out) { *out << answer.input; }

class Answers : public testing::TestWithParam<Answer> {};

TEST_P(Answers, HoweverTheInputIsCut) {
  const Answer& answer = GetParam();
  for (std::size_t cut = 0; cut <= answer.input.size(); ++cut) {
    ResponseParser parser(small_limits());
    std::string body;
    for (std::string part : {answer.input.substr(0, cut), answer.input.substr(cut)})
      body += parser.feed(part).body;
    if (answer.ends) parser.end();
    ASSERT_EQ(parser.state(), answer.state) << parser.rejection().reason << " cut at " << cut;
    if (answer.state != State::failed) {
      EXPECT_EQ(parser.head().status, answer.status);
      EXPECT_EQ(parser.keep_alive(), answer.keep_alive);
      EXPECT_EQ(body, answer.body);
    }
  }
}

const Answer kAnswers[] = {
    {"Length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", false, State::done, 200, "ab", true},
    {"NoReason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, State::done, 200, "", true},
    {"Chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\nT: t\r\n\r\n", false,
     State::done, 200, "abc", true},
    {"UntilTheEnd", "HTTP/1.1 200 OK\r\n\r\nab", true, State::done, 200, "ab", false},
    {"UntilTheEndNotYet", "HTTP/1.1 200 OK\r\n\r\nab", false, State::body, 200, "ab", false},
    {"NoContent", "HTTP/1.1 204 No Content\r\n\r\n", false, State::done, 204, "", true},
    {"NotModified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, State::done, 304, "",
     true},
    {"Interim",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\nConnection: close\r\n\r\nHTTP/1.1 200 "
     "OK\r\nContent-Length: 1\r\n\r\na",
     false, State::done, 200, "a", true},
    {"InterimWithLength",
     "HTTP/1.1 102 P\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", false,
     State::done, 200, "a", true},
    {"Close", "HTTP/1.1 500 E\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", false, State::done, 500,
     "a", false},
    {"Http10", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", false, State::done, 200, "a", false},
    {"ShortLength", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", true, State::failed, 0, "", false},
    {"ShortChunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", true, State::failed,
     0, "", false},
    {"ShortLastChunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", true,
     State::failed, 0, "", false},
    {"ShortHead", "HTTP/1.1 200 OK\r\nConte", true, State::failed, 0, "", false},
    {"Nothing", "", true, State::failed, 0, "", false},
    {"Switching", "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", false, State::failed, 0, "",
     false},
    {"GzipChunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false,
     State::failed, 0, "", false},
    {"Gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab", false, State::failed, 0, "", false},
    {"LengthBesideCoding",
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false,
     State::failed, 0, "", false},
    {"ChunkedInHttp10", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false,
     State::failed, 0, "", false},
    {"Http20", "HTTP/2.0 200 OK\r\n\r\n", false, State::failed, 0, "", false},
    {"BodyTooLong", "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", false, State::failed, 0, "", false},
    {"InterimForEver", times(30, "HTTP/1.1 100 Continue\r\n\r\n"), false, State::failed, 0, "", false},
    {"NoHttp", "SSH-2.0-OpenSSH\r\n", false, State::failed, 0, "", false},
};

INSTANTIATE_TEST_SUITE_P(Responses, Answers, testing::ValuesIn(kAnswers),
                         [](const auto& info) { return info.param.name; });

TEST(ResponseParser, AnAnswerToHeadHasNoBody) {
  ResponseParser parser({});
  parser.reset(true);
  std::string input = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP";
  EXPECT_EQ(parser.feed(input).taken, input.size() - 4);
  EXPECT_EQ(parser.state(), State::done);
  EXPECT_TRUE(parser.keep_alive());
}

TEST(ResponseParser, SqueezesChunksIntoOnePiece) {
  ResponseParser parser({});
  std::string input =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n";
  EXPECT_EQ(parser.feed(input).body, "abcdef");
  EXPECT_EQ(parser.state(), State::body);
}

}  // namespace
}  // namespace truekeel::http
