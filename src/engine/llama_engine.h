// SPDX-License-Identifier: Apache-2.0
// A GGUF model on llama.cpp. Thread safety: as engine.h says.
// Invariant: one KV stream for each slot, so that no slot's cells lie between another's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace truekeel::engine {

struct LlamaOptions {
  std::string model_path;
  std::uint32_t ctx = 2048;  ///< window of each slot
  std::uint32_t slots = 8;
  std::uint32_t threads = 1;
  std::uint32_t ubatch = 512;
  RopeScaling rope_scaling = RopeScaling::model;
  double rope_scale = 1;
  std::uint32_t yarn_orig_ctx = 0;
  std::string kv_type = "f16";
  bool flash_attention = true;
  /// Lets llama.cpp rewrite weights into layouts that suit the CPU (AMX, wide SIMD): other kernels, other
  /// bits.
  bool repack = true;
};

/// The names that LlamaOptions::kv_type may have.
[[nodiscard]] std::span<const std::string_view> kv_type_names();

/// Errors of load_llama_model(); Error::invalid_argument for an unknown kv_type; Error::unavailable when
/// there is not the memory for the windows.
[[nodiscard]] Result<std::unique_ptr<Engine>> make_llama_engine(const LlamaOptions& options);

}  // namespace truekeel::engine
