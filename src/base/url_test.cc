// SPDX-License-Identifier: Apache-2.0
#include "base/url.h"

#include <gtest/gtest.h>

#include <utility>

namespace truekeel {
namespace {

Url url(std::string host, std::uint16_t port, std::string prefix = "") {
  return {std::move(host), port, std::move(prefix)};
}

TEST(Url, WithAndWithoutV1IsTheSamePlace) {
  for (const auto* text :
       {"http://h:81", "http://h:81/", "http://h:81/v1", "http://h:81/v1/", "http://h:81//"}) {
    EXPECT_EQ(without_v1(*parse_url(text)), url("h", 81)) << text;
  }
  EXPECT_EQ(without_v1(*parse_url("http://h/api/v1/")), url("h", 80, "/api"));
  EXPECT_EQ(without_v1(*parse_url("http://h/v1beta")), url("h", 80, "/v1beta"));
  EXPECT_EQ(without_v1(*parse_url("http://[::1]:9101/v1")), url("::1", 9101));
  EXPECT_EQ(parse_url("http://h/v1"), url("h", 80, "/v1"));
}

TEST(Url, TakesHostPortAndPrefix) {
  EXPECT_EQ(parse_url("http://a"), url("a", 80));
  EXPECT_EQ(parse_url("HTTP://a.b:8080/v1/"), url("a.b", 8080, "/v1"));
  EXPECT_EQ(parse_url("http://127.0.0.1:1/"), url("127.0.0.1", 1));
  EXPECT_EQ(parse_url("http://[::1]:9/a/b"), url("::1", 9, "/a/b"));
  EXPECT_EQ(parse_url("http://[::1]"), url("::1", 80));
  EXPECT_EQ(*parse_url("https://h/v1"), (Url{"h", 443, "/v1", true}));
}

TEST(Url, IsWrittenAsItIsRead) {
  for (const auto* text : {"http://[::1]:9101/x", "https://h:81/x", "http://h:80"}) {
    EXPECT_EQ(to_string(*parse_url(text)), text);
  }
}

TEST(Url, WhatIsWrongIsSaid) {
  for (const auto* text : {"",
                           "a",
                           "h:81",
                           "ftp://h",
                           "httpx://h",
                           "https://",
                           "http://",
                           "http://:80",
                           "http://h:",
                           "http://h:0",
                           "http://h:65536",
                           "http://h:8x",
                           "http://u:p@h",
                           "http://h/a b",
                           "http://h/?q",
                           "http://[::1",
                           "http://[::1]x",
                           "http://a#f",
                           "http://a b",
                           "http://a/\x01",
                           "http://[zz::]",
                           "http://h\u00e9",
                           "http://h/%2e"}) {
    const auto parsed = parse_url(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_FALSE(parsed.error().message.empty());
  }
}

}  // namespace
}  // namespace truekeel
