// SPDX-License-Identifier: Apache-2.0
// The port to a language model: many slots, each with a context of its own, and the logits after it.
// Thread safety: one thread at a time; vocabulary() and info() from any thread.
// Invariants: a prompt is fed in pieces, alone, never in one batch with the tokens of other slots; a slot's
// logits depend on nothing but its own tokens and how they were cut into pieces, as far as the arithmetic
// below allows (worker/exactness.h measures that).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "engine/vocabulary.h"

namespace truekeel::engine {

using Slot = std::uint32_t;

enum class RopeScaling : std::uint8_t { model, none, linear, yarn };
[[nodiscard]] const char* to_string(RopeScaling scaling);

/// All that the bits of the logits depend on, but the context itself.
struct Numerics {
  std::string weights;  ///< hash of the file that holds them
  RopeScaling rope_scaling = RopeScaling::model;
  double rope_scale = 1;            ///< windows are stretched by this factor
  std::uint32_t yarn_orig_ctx = 0;  ///< 0: the model's own
  std::uint32_t ctx = 0;            ///< window of each slot, in tokens
  std::string kv_type;
  bool flash_attention = false;
  std::uint32_t ubatch = 0;  ///< tokens of a prompt that are computed at once
  std::string engine;        ///< name and version of the code
  std::string cpu;           ///< which variant of that code this CPU runs
};

struct EngineInfo {
  Numerics numerics;
  std::string model_name;
  std::uint32_t ctx_trained = 0;
  std::uint64_t parameters = 0;
  std::uint64_t model_bytes = 0;
  std::uint32_t slots = 0;
  std::uint32_t threads = 0;
};

struct SlotToken {
  Slot slot = 0;
  Token token = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;

  [[nodiscard]] virtual const EngineInfo& info() const = 0;
  [[nodiscard]] virtual const Vocabulary& vocabulary() const = 0;

  /// Appends a piece of a prompt to a slot. Afterwards there are logits for its last `rows` tokens.
  /// Requires: 0 < size <= ubatch, rows <= size, and the slot's window holds it.
  /// Error::internal when the engine fails; the slot must then be released.
  [[nodiscard]] virtual Result<void> prefill(Slot slot, std::span<const Token> piece, std::size_t rows) = 0;

  /// Appends one token to each of some slots, given in ascending order; one row of logits for each.
  /// Requires: every slot holds a prompt, and has room. Error as for prefill(), for all these slots.
  [[nodiscard]] virtual Result<void> decode(std::span<const SlotToken> step) = 0;

  /// The rows of the last prefill() or decode(), one after the other. Valid until the next of these.
  [[nodiscard]] virtual std::span<const float> logits() const = 0;

  /// Empties a slot.
  virtual void release(Slot slot) = 0;

  /// How many tokens a slot holds.
  [[nodiscard]] virtual std::uint32_t length(Slot slot) const = 0;

  [[nodiscard]] std::span<const float> row(std::size_t index) const {
    return logits().subspan(index * vocabulary().size(), vocabulary().size());
  }
};

}  // namespace truekeel::engine
