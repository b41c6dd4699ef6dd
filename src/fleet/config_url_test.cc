// SPDX-License-Identifier: Apache-2.0
#include "fleet/config_url.h"

#include <gtest/gtest.h>

namespace truekeel::fleet {
namespace {

Url url(std::string host, std::uint16_t port, std::string prefix = "") {
  return {std::move(host), port, std::move(prefix)};
}

TEST(ParseUrl, WithAndWithoutV1IsTheSamePlace) {
  for (const auto* text :
       {"http://h:81", "http://h:81/", "http://h:81/v1", "http://h:81/v1/", "http://h:81//"}) {
    EXPECT_EQ(parse_url(text), url("h", 81)) << text;
  }
  EXPECT_EQ(parse_url("http://h/api/v1/"), url("h", 80, "/api"));
  EXPECT_EQ(parse_url("http://h/v1beta"), url("h", 80, "/v1beta"));
  EXPECT_EQ(parse_url("http://[::1]:9101/v1"), url("::1", 9101));
  EXPECT_EQ(to_string(*parse_url("http://[::1]:9101/x")), "http://[::1]:9101/x");
  EXPECT_EQ(*parse_url("https://h/v1"), (Url{"h", 443, "", true}));
  EXPECT_EQ(to_string(*parse_url("https://h:81/x")), "https://h:81/x");
}

TEST(ParseUrl, SaysWhatIsWrong) {
  for (const auto* text :
       {"", "h:81", "ftp://h", "https://", "http://", "http://:80", "http://h:", "http://h:0",
        "http://h:65536", "http://h:8x", "http://u:p@h", "http://h/a b", "http://h/?q", "http://[::1",
        "http://[::1]x", "http://[zz::]", "http://h\u00e9", "http://h/%2e"}) {
    const auto parsed = parse_url(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_FALSE(parsed.error().message.empty());
  }
}

TEST(ParseAddress, TakesAddressesOnly) {
  EXPECT_EQ(parse_address("127.0.0.1:8080"), (Address{"127.0.0.1", 8080}));
  EXPECT_EQ(parse_address("localhost:0"), (Address{"localhost", 0}));
  EXPECT_EQ(parse_address("[::]:80"), (Address{"::", 80}));
  for (const auto* text :
       {"", ":80", "127.0.0.1", "127.0.0.1:", "256.0.0.1:80", "1.2.3:80", "1.2.3.4.5:80", "1.2.3.:80",
        "example.com:80", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80", "[::1]"}) {
    EXPECT_EQ(parse_address(text), std::nullopt) << text;
  }
}

TEST(IsLoopback, KnowsThisMachine) {
  for (const auto* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1"})
    EXPECT_TRUE(is_loopback(host)) << host;
  for (const auto* host :
       {"0.0.0.0", "::", "10.0.0.1", "1270.0.0.1", "127.0.0.1.example.com", "localhost.example.com"})
    EXPECT_FALSE(is_loopback(host)) << host;
}

}  // namespace
}  // namespace truekeel::fleet
