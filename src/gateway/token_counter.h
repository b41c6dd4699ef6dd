// SPDX-License-Identifier: Apache-2.0
// Exact token counts where a model's bounds do not decide: by the vocabulary in a GGUF file, or by asking an
// endpoint. Thread safety: one counter per thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fleet/context_class.h"
#include "gateway/ask.h"
#include "gateway/shared.h"
#include "gateway/vocabularies.h"
#include "http/client.h"

namespace truekeel::gateway {

class TokenCounter {
 public:
  /// All are borrowed for life.
  TokenCounter(Shared& shared, http::Client& client, http::Net& net)
      : shared_(shared), client_(client), net_(net) {}

  /// What bounds the prompt without counting.
  [[nodiscard]] static fleet::TokenRange bound(const Ask& ask, const Vocabulary& vocabulary);

  /// Counts, stopping soon after `stop_above`. Nothing when this model cannot be counted here: images,
  /// tools, or no endpoint that answers.
  http::Task<std::optional<fleet::TokenCount>> count(const Ask& ask, const fleet::ModelConfig& model,
                                                     const Vocabulary& vocabulary, std::uint64_t stop_above);

 private:
  [[nodiscard]] std::optional<fleet::TokenCount> count_here(const Ask& ask,
                                                            const engine::Tokenizer& tokenizer,
                                                            std::uint64_t stop_above);
  http::Task<std::optional<fleet::TokenCount>> ask_endpoints(const Ask& ask, const fleet::ModelConfig& model);
  http::Task<std::optional<std::uint64_t>> ask_one(Upstream& upstream, const Ask& ask,
                                                   const fleet::ModelConfig& model);
  http::Task<std::optional<std::string>> post(Upstream& upstream, std::string_view path,
                                              const std::string& body);

  Shared& shared_;
  http::Client& client_;
  http::Net& net_;
  protocol::JsonParser parser_;
};

}  // namespace truekeel::gateway
