// SPDX-License-Identifier: Apache-2.0
#include "engine/synthetic_engine.h"

#include <fmt/format.h>

#include <array>

#include "base/assert.h"
#include "base/philox.h"

namespace truekeel::engine {
namespace {

constexpr Token kStart = 256, kEnd = 257, kWords = 259;
constexpr std::array<std::string_view, 3> kControls = {"<|start|>", "<|end|>", "<|pad|>"};  // from kStart on

/// A bijection that spreads every bit over all (the finaliser of SplitMix64; Steele et al., 2014).
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class SyntheticVocabulary final : public Vocabulary {
 public:
  SyntheticVocabulary(std::uint64_t seed, std::uint32_t size) {
    TK_ASSERT(size >= kWords);
    for (int byte = 0; byte < 256; ++byte) pieces_.emplace_back(1, static_cast<char>(byte));
    for (const auto name : kControls) pieces_.emplace_back(name);
    PhiloxStream random(seed, 1);
    while (pieces_.size() < size) {
      std::string word = " ";
      for (std::uint64_t letters = 2 + random.below(4); letters > 0; --letters) {
        word += static_cast<char>('a' + random.below(26));
      }
      pieces_.push_back(std::move(word));
    }
  }

  [[nodiscard]] std::size_t size() const override { return pieces_.size(); }
  [[nodiscard]] std::string_view piece(Token token) const override {
    TK_ASSERT(contains(token));
    return pieces_[static_cast<std::size_t>(token)];
  }
  [[nodiscard]] bool is_text(Token token) const override { return token < kStart || token >= kWords; }
  [[nodiscard]] bool is_end(Token token) const override { return token == kEnd; }

  void tokenize(std::string_view text, TokenizeOptions options, std::vector<Token>& out) const override {
    while (!text.empty()) {
      const auto control = options.parse_special ? control_at(text) : kControls.size();
      if (control < kControls.size()) {
        out.push_back(kStart + static_cast<Token>(control));
        text.remove_prefix(kControls[control].size());
      } else {
        out.push_back(static_cast<unsigned char>(text.front()));
        text.remove_prefix(1);
      }
    }
  }

  [[nodiscard]] Result<std::string> render(std::span<const Message> messages) const override {
    std::string text;
    for (const auto& message : messages) {
      if (message.role != "system" && message.role != "user" && message.role != "assistant") {
        return fail(ErrorCode::invalid_argument, fmt::format("unknown role '{}'", message.role));
      }
      text += fmt::format("<|start|>{}\n{}<|end|>\n", message.role, message.content);
    }
    return text + "<|start|>assistant\n";
  }

  [[nodiscard]] bool byte_bound_holds() const override { return true; }
  [[nodiscard]] bool words_are_independent() const override { return true; }

 private:
  static std::size_t control_at(std::string_view text) {
    std::size_t i = 0;
    while (i < kControls.size() && !text.starts_with(kControls[i])) ++i;
    return i;
  }

  std::vector<std::string> pieces_;
};

class SyntheticEngine final : public Engine {
 public:
  explicit SyntheticEngine(const SyntheticOptions& options)
      : options_(options), vocabulary_(options.seed, options.vocabulary), contexts_(options.slots) {
    info_.numerics.weights = fmt::format("synthetic {} {} {} {}", options.seed, options.vocabulary,
                                         options.spread, options.end_bias);
    info_.numerics.ctx = options.ctx;
    info_.numerics.kv_type = "none";
    info_.numerics.ubatch = options.ubatch;
    info_.numerics.engine = "synthetic 1";
    info_.numerics.cpu = "any";
    info_.model_name = "synthetic";
    info_.ctx_trained = options.ctx;
    info_.slots = options.slots;
    info_.threads = 1;
  }

  [[nodiscard]] const EngineInfo& info() const override { return info_; }
  [[nodiscard]] const Vocabulary& vocabulary() const override { return vocabulary_; }

  Result<void> prefill(Slot slot, std::span<const Token> piece, std::size_t rows) override {
    TK_ASSERT(!piece.empty() && piece.size() <= options_.ubatch && rows <= piece.size());
    logits_.clear();
    for (std::size_t i = 0; i < piece.size(); ++i) append(slot, piece[i], i + rows >= piece.size());
    return {};
  }

  Result<void> decode(std::span<const SlotToken> step) override {
    TK_ASSERT(!step.empty());
    logits_.clear();
    for (std::size_t i = 0; i < step.size(); ++i) {
      TK_ASSERT(i == 0 || step[i - 1].slot < step[i].slot);
      TK_ASSERT(length(step[i].slot) > 0);
      append(step[i].slot, step[i].token, true);
    }
    return {};
  }

  [[nodiscard]] std::span<const float> logits() const override { return logits_; }

  void release(Slot slot) override { context(slot) = {}; }

  [[nodiscard]] std::uint32_t length(Slot slot) const override {
    TK_ASSERT(slot < contexts_.size());
    return contexts_[slot].length;
  }

 private:
  struct Context {
    std::uint64_t hash = 0;
    std::uint32_t length = 0;
  };

  Context& context(Slot slot) {
    TK_ASSERT(slot < contexts_.size());
    return contexts_[slot];
  }

  void append(Slot slot, Token token, bool wants_logits) {
    TK_ASSERT(vocabulary_.contains(token) && length(slot) < options_.ctx);
    auto& own = context(slot);
    own.hash = mix(own.hash ^ mix(static_cast<std::uint64_t>(token) ^ options_.seed << 32));
    ++own.length;
    if (!wants_logits) return;
    for (std::uint64_t id = 0; id < options_.vocabulary; ++id) {
      const auto uniform = static_cast<float>(mix(own.hash + id * 0x9e3779b97f4a7c15) >> 40) * 0x1p-24f;
      logits_.push_back(uniform * options_.spread);
    }
    logits_[logits_.size() - options_.vocabulary + kEnd] += options_.end_bias;
  }

  const SyntheticOptions options_;
  const SyntheticVocabulary vocabulary_;
  EngineInfo info_;
  std::vector<Context> contexts_;
  std::vector<float> logits_;
};

}  // namespace

std::unique_ptr<Engine> make_synthetic_engine(const SyntheticOptions& options) {
  return std::make_unique<SyntheticEngine>(options);
}

std::unique_ptr<Vocabulary> make_synthetic_vocabulary(std::uint64_t seed, std::uint32_t vocabulary) {
  return std::make_unique<SyntheticVocabulary>(seed, vocabulary);
}

}  // namespace truekeel::engine
