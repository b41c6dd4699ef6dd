// SPDX-License-Identifier: Apache-2.0
#include "http/url.h"

#include <gtest/gtest.h>

namespace truekeel::http {
namespace {

TEST(PlaceOf, HttpsIsDialledOverTls) {
  const auto place = place_of(parse_url("https://a/x").value());
  ASSERT_TRUE(place);
  EXPECT_TRUE(place->endpoint.tls);
  EXPECT_EQ(authority(place->endpoint), "a");
  EXPECT_EQ(place->prefix, "/x");
  EXPECT_FALSE(place_of(parse_url("http://a").value())->endpoint.tls);
}

TEST(Authority, IsWhatAHostFieldSays) {
  EXPECT_EQ(authority({"a", 80}), "a");
  EXPECT_EQ(authority({"a", 81}), "a:81");
  EXPECT_EQ(authority({"::1", 81}), "[::1]:81");
  EXPECT_EQ(authority({"::1", 80}), "[::1]");
}

}  // namespace
}  // namespace truekeel::http
