// SPDX-License-Identifier: Apache-2.0
// Exact token counts where a model's bounds do not decide: by the vocabulary in a GGUF file, or by asking an
// endpoint. Thread safety: one counter per thread; the vocabularies are shared and constant.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/tokenizer.h"
#include "fleet/context_class.h"
#include "gateway/ask.h"
#include "gateway/shared.h"
#include "http/client.h"

namespace truekeel::gateway {

/// The vocabularies of the models whose tokenizer is `gguf`, in the order of Config::models; others null.
class Vocabularies {
 public:
  /// Error::not_found or Error::invalid_argument, naming the model, when a file cannot be read.
  [[nodiscard]] static Result<Vocabularies> load(const fleet::Config& config);

  [[nodiscard]] const engine::Tokenizer* of(std::size_t model) const { return tokenizers_[model].get(); }
  /// What bounds a prompt of this model. Models without a vocabulary: nothing but the byte bound of `bound`.
  [[nodiscard]] const fleet::TokenizerTraits& traits(std::size_t model) const { return traits_[model]; }

  /// How many tokens each model has; 0 where that is not known.
  [[nodiscard]] std::vector<std::uint32_t> sizes() const;

 private:
  std::vector<std::unique_ptr<engine::Tokenizer>> tokenizers_;
  std::vector<fleet::TokenizerTraits> traits_;
};

class TokenCounter {
 public:
  /// All are borrowed for life.
  TokenCounter(Shared& shared, const Vocabularies& vocabularies, http::Client& client, http::Net& net)
      : shared_(shared), vocabularies_(vocabularies), client_(client), net_(net) {}

  /// What bounds the prompt without counting.
  [[nodiscard]] fleet::TokenRange bound(const Ask& ask, const fleet::ModelConfig& model) const;

  /// Counts, stopping soon after `stop_above`. Nothing when this model cannot be counted here: images,
  /// tools, or no endpoint that answers.
  http::Task<std::optional<fleet::TokenCount>> count(const Ask& ask, const fleet::ModelConfig& model,
                                                     std::uint64_t stop_above);

 private:
  [[nodiscard]] std::size_t index_of(const fleet::ModelConfig& model) const;
  [[nodiscard]] std::optional<fleet::TokenCount> count_here(const Ask& ask,
                                                            const engine::Tokenizer& tokenizer,
                                                            std::uint64_t stop_above);
  http::Task<std::optional<fleet::TokenCount>> ask_endpoints(const Ask& ask, const fleet::ModelConfig& model);
  http::Task<std::optional<std::uint64_t>> ask_one(Upstream& upstream, const Ask& ask,
                                                   const fleet::ModelConfig& model);
  http::Task<std::optional<std::string>> post(Upstream& upstream, std::string_view path,
                                              const std::string& body);

  Shared& shared_;
  const Vocabularies& vocabularies_;
  http::Client& client_;
  http::Net& net_;
  protocol::JsonParser parser_;
};

}  // namespace truekeel::gateway
