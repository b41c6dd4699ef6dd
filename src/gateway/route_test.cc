// SPDX-License-Identifier: Apache-2.0
#include "gateway/route.h"

#include <gtest/gtest.h>

namespace truekeel::gateway {
namespace {

using protocol::Provider;

TEST(Route, KnowsItsPathsWithAndWithoutVersion) {
  EXPECT_EQ(find_route("POST", "/v1/chat/completions", false).operation, Operation::chat);
  EXPECT_EQ(find_route("POST", "/chat/completions?x=1", false).match, Route::Match::found);
  EXPECT_EQ(find_route("POST", "/v1/messages", false).provider, Provider::anthropic);
  EXPECT_EQ(find_route("HEAD", "/v1/models", false).match, Route::Match::found);
}

TEST(Route, AModelNameMayHoldSlashes) {
  const auto route = find_route("GET", "/v1/models/org/name", false);
  EXPECT_EQ(route.match, Route::Match::found);
  EXPECT_EQ(route.argument, "org/name");
}

TEST(Route, TellsAWrongMethodFromAnUnknownPath) {
  const auto wrong = find_route("GET", "/v1/messages", false);
  EXPECT_EQ(wrong.match, Route::Match::wrong_method);
  EXPECT_EQ(wrong.allow, "POST");
  EXPECT_EQ(find_route("GET", "/v2/messages", false).match, Route::Match::not_found);
  EXPECT_EQ(find_route("GET", "/v1/nothing", true).provider, Provider::anthropic);
}

}  // namespace
}  // namespace truekeel::gateway
