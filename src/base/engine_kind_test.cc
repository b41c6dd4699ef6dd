// SPDX-License-Identifier: Apache-2.0
#include "base/engine_kind.h"

#include <gtest/gtest.h>

#include <set>

namespace truekeel {
namespace {

TEST(EngineKind, EachHasANameOfItsOwnThatIsRead) {
  std::set<std::string_view> names;
  for (const auto kind : kEngineKinds) {
    EXPECT_EQ(engine_named(to_string(kind)), kind);
    names.insert(to_string(kind));
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"truekeel", "llama.cpp", "vllm", "sglang", "openai"}));
}

TEST(EngineKind, OtherNamesAreNone) {
  for (const auto* text : {"", "llamacpp", "vLLM", "openai "})
    EXPECT_EQ(engine_named(text), std::nullopt) << text;
}

}  // namespace
}  // namespace truekeel
