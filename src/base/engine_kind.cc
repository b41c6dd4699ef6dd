// SPDX-License-Identifier: Apache-2.0
#include "base/engine_kind.h"

#include <algorithm>

namespace truekeel {

std::string_view to_string(EngineKind kind) {
  switch (kind) {
    case EngineKind::truekeel:
      return "truekeel";
    case EngineKind::llama_cpp:
      return "llama.cpp";
    case EngineKind::vllm:
      return "vllm";
    case EngineKind::sglang:
      return "sglang";
    case EngineKind::openai:
      return "openai";
  }
  return "";
}

std::optional<EngineKind> engine_named(std::string_view text) {
  const auto* const found = std::ranges::find(kEngineKinds, text, to_string);
  return found == kEngineKinds.end() ? std::nullopt : std::optional(*found);
}

}  // namespace truekeel
