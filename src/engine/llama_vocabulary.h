// SPDX-License-Identifier: Apache-2.0
// The vocabulary and chat template of a GGUF file. Thread safety: const methods, from any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/vocabulary.h"

struct llama_model;
struct common_chat_templates;

namespace truekeel::engine {

struct LlamaModelDeleter {
  void operator()(llama_model* model) const;
};
using LlamaModel = std::unique_ptr<llama_model, LlamaModelDeleter>;

struct LoadOptions {
  bool vocabulary_only = false;  ///< leave the weights out
  bool repack = true;            ///< rewrite weights into layouts that suit the CPU
};

/// Loads a GGUF file.
/// Error::not_found when there is no such file, Error::invalid_argument when it is no usable model.
[[nodiscard]] Result<LlamaModel> load_llama_model(const std::string& path, LoadOptions options);

class LlamaVocabulary final : public Vocabulary {
 public:
  /// `model` is borrowed for life. Error::invalid_argument when its chat template cannot be read.
  [[nodiscard]] static Result<std::unique_ptr<LlamaVocabulary>> make(const llama_model& model);
  ~LlamaVocabulary() override;

  [[nodiscard]] std::size_t size() const override { return is_text_.size(); }
  [[nodiscard]] std::string_view piece(Token token) const override;
  [[nodiscard]] bool is_text(Token token) const override { return is_text_[index(token)]; }
  [[nodiscard]] bool is_end(Token token) const override;
  void tokenize(std::string_view text, TokenizeOptions options, std::vector<Token>& out) const override;
  [[nodiscard]] Result<std::string> render(std::span<const Message> messages) const override;

  [[nodiscard]] bool byte_bound_holds() const override;
  [[nodiscard]] bool words_are_independent() const override;

 private:
  struct TemplatesDeleter {
    void operator()(common_chat_templates* templates) const;
  };

  explicit LlamaVocabulary(const llama_model& model);
  [[nodiscard]] std::size_t index(Token token) const;
  void tokenize_part(std::string_view text, TokenizeOptions options, std::vector<Token>& out) const;
  [[nodiscard]] Result<std::string> render(std::span<const Message> messages, bool with_analysis) const;

  const llama_model& model_;
  const std::size_t part_bytes_max_;
  std::string bytes_;                  // all pieces, one after the other
  std::vector<std::uint32_t> begins_;  // where each piece begins in bytes_; one more for the end
  std::vector<bool> is_text_;
  std::unique_ptr<common_chat_templates, TemplatesDeleter> templates_;
  bool analyse_templates_ = true;
};

}  // namespace truekeel::engine
