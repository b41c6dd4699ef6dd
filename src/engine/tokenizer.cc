// SPDX-License-Identifier: Apache-2.0
#include "engine/tokenizer.h"

#include <utility>

#include "engine/llama_vocabulary.h"
#include "engine/template_overhead.h"

namespace truekeel::engine {
namespace {

/// Large enough that the cuts cost nothing, small enough that little is counted beyond the limit.
constexpr std::size_t kPartBytes = 4096;

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

struct Tokenizer::Loaded {
  LlamaModel model;
  std::unique_ptr<LlamaVocabulary> vocabulary;
};

Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const std::string& gguf_path) {
  auto model = load_llama_model(gguf_path, {.vocabulary_only = true});
  if (!model) return std::unexpected(std::move(model.error()));
  auto vocabulary = LlamaVocabulary::make(**model);
  if (!vocabulary) return std::unexpected(std::move(vocabulary.error()));
  auto loaded = std::make_unique<Loaded>(std::move(*model), std::move(*vocabulary));
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(loaded)));
}

Tokenizer::Tokenizer(const Vocabulary& vocabulary)
    : vocabulary_(vocabulary),
      words_are_independent_(vocabulary.words_are_independent()),
      traits_(measure_traits(vocabulary)) {}

Tokenizer::Tokenizer(std::unique_ptr<Loaded> loaded) : Tokenizer(*loaded->vocabulary) {
  loaded_ = std::move(loaded);
}

Tokenizer::~Tokenizer() = default;

std::size_t safe_cut(std::string_view text, std::size_t from) {
  for (std::size_t i = std::max<std::size_t>(from, 1); i + 1 < text.size(); ++i) {
    if (text[i] == ' ' && is_ascii_letter(text[i - 1]) && is_ascii_letter(text[i + 1])) return i;
  }
  return text.size();
}

fleet::TokenCount Tokenizer::count(std::string_view text, std::uint64_t stop_above) const {
  std::vector<Token> tokens;
  const bool whole = tokenize(text, kPrompt, stop_above, tokens);
  return {.tokens = tokens.size(), .stopped = !whole};
}

bool Tokenizer::tokenize(std::string_view text, TokenizeOptions options, std::uint64_t stop_above,
                         std::vector<Token>& out) const {
  // What stands around a text stands at its beginning: families that also end it are not cut into parts.
  const auto before = out.size();
  do {
    if (out.size() - before > stop_above) return false;
    const auto cut = words_are_independent_ ? safe_cut(text, kPartBytes) : text.size();
    vocabulary_.tokenize(text.substr(0, cut), options, out);
    options.add_special = false;
    text.remove_prefix(cut);
  } while (!text.empty());
  return true;
}

Result<fleet::TokenCount> Tokenizer::count_chat(std::span<const Message> messages,
                                                std::uint64_t stop_above) const {
  const auto rendered = vocabulary_.render(messages);
  if (!rendered) return std::unexpected(rendered.error());
  return count(*rendered, stop_above);
}

}  // namespace truekeel::engine
