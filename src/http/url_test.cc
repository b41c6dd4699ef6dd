// SPDX-License-Identifier: Apache-2.0
#include "http/url.h"

#include <gtest/gtest.h>

namespace truekeel::http {
namespace {

TEST(ParseUrl, TakesHostPortAndPrefix) {
  EXPECT_EQ(parse_url("http://a"), (Url{{"a", 80}, ""}));
  EXPECT_EQ(parse_url("HTTP://a.b:8080/v1/"), (Url{{"a.b", 8080}, "/v1"}));
  EXPECT_EQ(parse_url("http://127.0.0.1:1/"), (Url{{"127.0.0.1", 1}, ""}));
  EXPECT_EQ(parse_url("http://[::1]:9/a/b"), (Url{{"::1", 9}, "/a/b"}));
  EXPECT_EQ(parse_url("http://[::1]"), (Url{{"::1", 80}, ""}));
}

TEST(ParseUrl, HttpsIsDialledOverTls) {
  const auto url = parse_url("https://a/x");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->endpoint.tls);
  EXPECT_EQ(url->endpoint.port, 443);
  EXPECT_EQ(authority(url->endpoint), "a");
  EXPECT_FALSE(parse_url("http://a")->endpoint.tls);
}

TEST(ParseUrl, RefusesTheRestWithTheReason) {
  for (const char* text :
       {"", "a", "http://", "http://:80", "ftp://a", "http://a:0", "http://a:65536", "http://a:x",
        "http://a:", "http://u@a", "http://a?q", "http://a#f", "http://a b", "http://a/\x01"}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Authority, IsWhatAHostFieldSays) {
  EXPECT_EQ(authority({"a", 80}), "a");
  EXPECT_EQ(authority({"a", 81}), "a:81");
  EXPECT_EQ(authority({"::1", 81}), "[::1]:81");
}

}  // namespace
}  // namespace truekeel::http
