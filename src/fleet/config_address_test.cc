// SPDX-License-Identifier: Apache-2.0
#include "fleet/config_address.h"

#include <gtest/gtest.h>

namespace truekeel::fleet {
namespace {

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
