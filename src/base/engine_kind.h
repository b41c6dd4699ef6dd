// SPDX-License-Identifier: Apache-2.0
// The inference engines that are known by name, in configurations and in dialects. Thread safety: plain
// values.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace truekeel {

enum class EngineKind { truekeel, llama_cpp, vllm, sglang, openai };

inline constexpr std::array kEngineKinds = {EngineKind::truekeel, EngineKind::llama_cpp, EngineKind::vllm,
                                            EngineKind::sglang, EngineKind::openai};

/// As in configurations: "llama.cpp".
[[nodiscard]] std::string_view to_string(EngineKind kind);

/// nullopt when no engine has this name.
[[nodiscard]] std::optional<EngineKind> engine_named(std::string_view text);

}  // namespace truekeel
