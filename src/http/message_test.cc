// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace truekeel::http {
namespace {

std::vector<Field> fields(const Headers& headers) { return {headers.begin(), headers.end()}; }

TEST(Headers, KeepOrderAndDuplicates) {
  Headers headers{{"A", "1"}, {"b", "2"}};
  headers.add("a", "3");
  EXPECT_THAT(fields(headers), testing::ElementsAre(Field{"A", "1"}, Field{"b", "2"}, Field{"a", "3"}));
  EXPECT_EQ(headers.find("a"), "1");
  EXPECT_EQ(headers.count("a"), 2U);
  EXPECT_EQ(headers.find("c"), std::nullopt);
}

TEST(Headers, SetReplacesAllOfTheName) {
  Headers headers{{"a", "1"}, {"b", "2"}, {"A", "3"}};
  headers.set("a", "4");
  EXPECT_THAT(fields(headers), testing::ElementsAre(Field{"b", "2"}, Field{"a", "4"}));
  headers.remove("B");
  EXPECT_THAT(fields(headers), testing::ElementsAre(Field{"a", "4"}));
}

TEST(Headers, FindTokensInLists) {
  const Headers headers{{"Connection", "keep-alive , X-Hop"}, {"connection", ",close,"}};
  EXPECT_TRUE(headers.lists("connection", "x-hop"));
  EXPECT_TRUE(headers.lists("connection", "CLOSE"));
  EXPECT_FALSE(headers.lists("connection", "x"));
  EXPECT_FALSE(headers.lists("connection", ""));
}

TEST(EndToEnd, LeavesOutWhatConcernsOneHop) {
  const Headers headers{{"Connection", "close, X-Hop"},
                        {"Keep-Alive", "timeout=5"},
                        {"X-Hop", "1"},
                        {"TE", "trailers"},
                        {"Upgrade", "h2c"},
                        {"X-End", "2"},
                        {"Transfer-Encoding", "chunked"},
                        {"Trailer", "T"},
                        {"Content-Length", "3"},
                        {"Proxy-Connection", "close"}};
  EXPECT_THAT(fields(end_to_end(headers)),
              testing::ElementsAre(Field{"X-End", "2"}, Field{"Content-Length", "3"}));
}

TEST(AppendField, RefusesWhatWouldBecomeAnotherField) {
  std::string out = "x";
  for (const Field field :
       {Field{"a", "b\r\nc: d"}, Field{"a", "b\n"}, Field{"a", std::string_view("\0", 1)}, Field{"a", "\x7f"},
        Field{"a b", "c"}, Field{"a:", "c"}, Field{"", "c"}, Field{"a\r\n", "c"}}) {
    EXPECT_FALSE(append_field(out, field)) << field.name << field.value;
  }
  EXPECT_EQ(out, "x");
  EXPECT_TRUE(append_field(out, {"a", "b\t\xC3\xA4"}));
  EXPECT_EQ(out, "xa: b\t\xC3\xA4\r\n");
}

TEST(HttpDate, IsAsTheRfcHasIt) {
  using std::chrono::seconds;
  EXPECT_EQ(http_date(std::chrono::sys_seconds(seconds(784111777))), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(std::chrono::sys_seconds(seconds(951782400))), "Tue, 29 Feb 2000 00:00:00 GMT");
}

TEST(ReasonPhrase, KnowsTheUsualOnes) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(799), "");
}

}  // namespace
}  // namespace truekeel::http
