// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gtest/gtest.h>

namespace truekeel {
namespace {

TEST(Log, AValueCannotForgeAField) {
  EXPECT_EQ(format_log_line(LogFormat::text, LogLevel::info, "a.b", {{"name", "x y=1\nz"}, {"n", 3}}),
            "info    a.b name=\"x y=1\\nz\" n=3");
  EXPECT_EQ(format_log_line(LogFormat::json, LogLevel::error, "a", {{"k", "\"}"}, {"ok", true}}),
            R"("level":"error","event":"a","k":"\"}","ok":true)");
}

}  // namespace
}  // namespace truekeel
