// SPDX-License-Identifier: Apache-2.0
#include "engine/llama_vocabulary.h"

#include <chat.h>
#include <fmt/format.h>
#include <llama.h>
#include <log.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <mutex>

#include "base/assert.h"
#include "base/log.h"

namespace truekeel::engine {
namespace {

/// llama.cpp's own messages would break our log's format; its errors reach us as return values.
void forward_log(ggml_log_level level, const char* text, void* /*user*/) {
  if (level != GGML_LOG_LEVEL_ERROR) return;
  std::string_view line(text);
  while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (!line.empty()) log_warning("llama.error", {{"message", line}});
}

void set_up_llama() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(forward_log, nullptr);
    common_log_set_verbosity_thold(-1);
    llama_backend_init();
  });
}

std::string piece_of(const llama_vocab* vocab, Token token, bool special) {
  std::string piece(64, '\0');
  auto length = llama_token_to_piece(vocab, token, piece.data(), static_cast<int>(piece.size()), 0, special);
  if (length < 0) {
    piece.resize(static_cast<std::size_t>(-length));
    length = llama_token_to_piece(vocab, token, piece.data(), static_cast<int>(piece.size()), 0, special);
  }
  piece.resize(static_cast<std::size_t>(std::max(length, 0)));
  return piece;
}

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// How long a text may be tokenised in one piece. llama.cpp splits the texts of some families with loops
/// of its own. The others go through std::regex, which recurses once for each character of a match: a
/// stack of 8 MiB holds a word of some 40,000, and a client could end the process with a longer one.
std::size_t part_bytes_max(const llama_model& model) {
  constexpr std::size_t kAny = std::numeric_limits<std::int32_t>::max(), kRecursive = 16384;
  if (llama_vocab_type(llama_model_get_vocab(&model)) != LLAMA_VOCAB_TYPE_BPE) return kAny;
  std::array<char, 64> name{};
  llama_model_meta_val_str(&model, "tokenizer.ggml.pre", name.data(), name.size());
  constexpr std::array<std::string_view, 9> kLoops = {"smollm",   "gpt-2",     "mpt",   "olmo",  "llama3",
                                                      "llama-v3", "llama-bpe", "qwen2", "qwen35"};
  return std::ranges::find(kLoops, std::string_view(name.data())) != kLoops.end() ? kAny : kRecursive;
}

/// Where to end a part of at most `size` bytes: before the last space in it, else between two characters.
std::size_t end_of_part(std::string_view text, std::size_t size) {
  if (text.size() <= size) return text.size();
  const auto space = text.substr(0, size).find_last_of(" \n");
  if (space != std::string_view::npos && space > 0) return space;
  while (size > 1 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return size;
}

}  // namespace

void LlamaModelDeleter::operator()(llama_model* model) const { llama_model_free(model); }

void LlamaVocabulary::TemplatesDeleter::operator()(common_chat_templates* templates) const {
  common_chat_templates_free(templates);
}

Result<LlamaModel> load_llama_model(const std::string& path, LoadOptions options) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return fail(ErrorCode::not_found, fmt::format("no model file '{}'", path));
  }
  set_up_llama();
  auto params = llama_model_default_params();
  params.vocab_only = options.vocabulary_only;
  params.use_extra_bufts = options.repack;
  LlamaModel model(llama_model_load_from_file(path.c_str(), params));
  if (!model) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}' is no GGUF model that llama.cpp {} can load", path, llama_version()));
  }
  return model;
}

LlamaVocabulary::LlamaVocabulary(const llama_model& model)
    : model_(model), part_bytes_max_(part_bytes_max(model)) {
  const auto* vocab = llama_model_get_vocab(&model);
  const auto count = llama_vocab_n_tokens(vocab);
  begins_.reserve(static_cast<std::size_t>(count) + 1);
  is_text_.reserve(static_cast<std::size_t>(count));
  for (Token token = 0; token < count; ++token) {
    begins_.push_back(static_cast<std::uint32_t>(bytes_.size()));
    const auto piece = piece_of(vocab, token, true);
    bytes_ += piece;
    is_text_.push_back(!piece.empty() && !piece_of(vocab, token, false).empty());
  }
  begins_.push_back(static_cast<std::uint32_t>(bytes_.size()));
}

Result<std::unique_ptr<LlamaVocabulary>> LlamaVocabulary::make(const llama_model& model) {
  std::unique_ptr<LlamaVocabulary> made(new LlamaVocabulary(model));
  try {
    made->templates_.reset(common_chat_templates_init(&model, "").release());
  } catch (const std::exception& error) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the model's chat template cannot be read: {}", error.what()));
  }
  const std::vector<Message> probe = {{"system", "a"}, {"user", "b"}, {"assistant", "c"}, {"user", " d"}};
  const auto with = made->render(probe, true), without = made->render(probe, false);
  made->analyse_templates_ = !with || !without || *with != *without;
  return made;
}

LlamaVocabulary::~LlamaVocabulary() = default;

std::size_t LlamaVocabulary::index(Token token) const {
  TK_ASSERT(contains(token));
  return static_cast<std::size_t>(token);
}

std::string_view LlamaVocabulary::piece(Token token) const {
  const auto i = index(token);
  return std::string_view(bytes_).substr(begins_[i], begins_[i + 1] - begins_[i]);
}

bool LlamaVocabulary::is_end(Token token) const {
  return llama_vocab_is_eog(llama_model_get_vocab(&model_), token);
}

void LlamaVocabulary::tokenize(std::string_view text, TokenizeOptions options,
                               std::vector<Token>& out) const {
  do {
    const auto end = end_of_part(text, part_bytes_max_);
    tokenize_part(text.substr(0, end), options, out);
    options.add_special = false;
    text.remove_prefix(end);
  } while (!text.empty());
}

void LlamaVocabulary::tokenize_part(std::string_view text, TokenizeOptions options,
                                    std::vector<Token>& out) const {
  const auto* vocab = llama_model_get_vocab(&model_);
  const auto before = out.size();
  // One token a byte, and a few around the text; a tokenizer that needs more says how many.
  auto room = static_cast<std::int32_t>(text.size() + 8);
  for (;;) {
    out.resize(before + static_cast<std::size_t>(room));
    const auto count = llama_tokenize(vocab, text.data(), static_cast<std::int32_t>(text.size()),
                                      out.data() + before, room, options.add_special, options.parse_special);
    if (count >= 0) {
      out.resize(before + static_cast<std::size_t>(count));
      return;
    }
    room = -count;
  }
}

Result<std::string> LlamaVocabulary::render(std::span<const Message> messages) const {
  return render(messages, analyse_templates_);
}

/// With analysis, llama.cpp looks at every call for special cases and at how the template writes tool
/// calls: 1 ms. Without, it writes what the template says.
Result<std::string> LlamaVocabulary::render(std::span<const Message> messages, bool with_analysis) const {
  common_chat_templates_inputs inputs;
  inputs.force_pure_content = !with_analysis;
  inputs.messages.reserve(messages.size());
  for (const auto& message : messages) {
    common_chat_msg copy;
    copy.role = message.role;
    copy.content = message.content;
    inputs.messages.push_back(std::move(copy));
  }
  try {
    return common_chat_templates_apply(templates_.get(), inputs).prompt;
  } catch (const std::exception& error) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the model's chat template refuses the messages: {}", error.what()));
  }
}

bool LlamaVocabulary::byte_bound_holds() const {
  switch (llama_vocab_type(llama_model_get_vocab(&model_))) {
    case LLAMA_VOCAB_TYPE_BPE:
    case LLAMA_VOCAB_TYPE_SPM:
    case LLAMA_VOCAB_TYPE_RWKV:
      return true;
    default:
      return false;
  }
}

bool LlamaVocabulary::words_are_independent() const {
  const auto* vocab = llama_model_get_vocab(&model_);
  // Others put a space before each text, a token after it, or look at the whole of it.
  if (llama_vocab_type(vocab) != LLAMA_VOCAB_TYPE_BPE || llama_vocab_get_add_eos(vocab)) return false;
  for (Token token = 0; contains(token); ++token) {
    if ((llama_vocab_get_attr(vocab, token) & (LLAMA_TOKEN_ATTR_LSTRIP | LLAMA_TOKEN_ATTR_RSTRIP)) != 0) {
      return false;
    }
    // A token that reaches over the cut would hold it.
    const auto text = piece(token);
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] == ' ' && is_ascii_letter(text[i - 1])) return false;
    }
  }
  return true;
}

}  // namespace truekeel::engine
