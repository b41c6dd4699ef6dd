// SPDX-License-Identifier: Apache-2.0
#include "sentinel/client_version.h"

#include <gtest/gtest.h>

namespace truekeel::sentinel {
namespace {

TEST(ClientVersion, KnowsLibrariesAndForgetsTheRest) {
  EXPECT_EQ(client_version("OpenAI/Python 2.1.3"), "OpenAI/Python 2.1");
  EXPECT_EQ(client_version("AsyncOpenAI/Python 1.99.0"), "AsyncOpenAI/Python 1.99");
  EXPECT_EQ(client_version("curl/8.5.0"), "curl 8.5");
  EXPECT_EQ(client_version("Anthropic/Python 0.7"), "Anthropic/Python 0.7");
  EXPECT_EQ(client_version("node/x"), "node");
  EXPECT_EQ(client_version("curl/8.secret"), "curl 8");
  EXPECT_EQ(client_version("curl/123456789"), "curl") << "a number that is no version may be anything";
  for (const char* other : {"", "secret", "curl", "curlish/1.0", "OpenAI/Python-hunter2 1.0"})
    EXPECT_EQ(client_version(other), "") << other;
}

}  // namespace
}  // namespace truekeel::sentinel
