// SPDX-License-Identifier: Apache-2.0
#include "gateway/admin_token.h"

#include <gtest/gtest.h>

namespace truekeel::gateway {
namespace {

constexpr std::string_view kToken = "0123456789abcdef";

bool lets_in(http::Headers headers) { return AdminToken::parse(kToken)->is_in(headers); }

TEST(AdminTokenTest, OnlyTheWholeTokenLetsIn) {
  EXPECT_TRUE(lets_in({{"authorization", "Bearer 0123456789abcdef"}}));
  EXPECT_TRUE(lets_in({{"Authorization", "bearer 0123456789abcdef"}}));
  for (const char* value : {"Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer 0123456789ABCDEF",
                            "Bearer ", "Bearer", "", "0123456789abcdef", "Basic 0123456789abcdef"}) {
    EXPECT_FALSE(lets_in({{"authorization", value}})) << value;
  }
  EXPECT_FALSE(lets_in({}));
  EXPECT_FALSE(lets_in({{"x-api-key", kToken}}));
}

TEST(AdminTokenTest, AGuessIsNoToken) {
  EXPECT_FALSE(AdminToken::parse("").has_value());
  EXPECT_FALSE(AdminToken::parse("0123456789abcde").has_value());
  EXPECT_TRUE(AdminToken::parse(kToken).has_value());
}

}  // namespace
}  // namespace truekeel::gateway
