// SPDX-License-Identifier: Apache-2.0
#include "gateway/vocabularies.h"

#include <fmt/format.h>

#include <algorithm>

namespace truekeel::gateway {
namespace {

/// With `tokenizer: bound` nothing is measured. The largest known templates (a default system prompt with
/// dates and tool preambles) stay below these.
constexpr fleet::TokenizerTraits kBoundOnly = {.byte_bound_holds = true,
                                               .longest_piece_bytes = 0,
                                               .overhead_per_message = 32,
                                               .overhead_per_request = 256};

Result<Vocabulary> load(const fleet::ModelConfig& model, const Vocabularies& known) {
  if (model.tokenizer == fleet::TokenizerKind::bound)
    return Vocabulary{.file = {}, .tokenizer = {}, .traits = kBoundOnly};
  if (model.tokenizer == fleet::TokenizerKind::endpoint) return Vocabulary();
  const auto same = std::ranges::find(known, model.gguf_path, &Vocabulary::file);
  if (same != known.end()) return *same;
  auto read = engine::Tokenizer::load(model.gguf_path);
  if (!read) {
    return fail(read.error().code, fmt::format("model {}: tokenizer: {}", model.name, read.error().message));
  }
  const auto traits = (*read)->traits();
  return Vocabulary{.file = model.gguf_path, .tokenizer = std::move(*read), .traits = traits};
}

}  // namespace

Result<Vocabularies> load_vocabularies(const fleet::Config& config, const Vocabularies& known) {
  Vocabularies loaded;
  for (const auto& model : config.models) {
    auto vocabulary = load(model, known);
    if (!vocabulary) return std::unexpected(vocabulary.error());
    loaded.push_back(std::move(*vocabulary));
  }
  return loaded;
}

std::vector<std::uint32_t> sizes_of(const Vocabularies& vocabularies) {
  std::vector<std::uint32_t> sizes;
  for (const auto& [file, tokenizer, traits] : vocabularies)
    sizes.push_back(tokenizer ? static_cast<std::uint32_t>(tokenizer->vocabulary().size()) : 0);
  return sizes;
}

}  // namespace truekeel::gateway
