// SPDX-License-Identifier: Apache-2.0
// Records rows of logits of a real model while it writes: record_rows MODEL.gguf ROWS FILE. Prints one JSON
// line a row: how many tokens hold nine tenths of the mass, which tells a peaked row from a flat one.
#include <llama.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "select/select.h"

namespace truekeel::select {
namespace {

/// Texts of several kinds: what a model is sure of, prose, code, a list of names, and nothing at all.
constexpr std::array kPrompts = {
    "The capital of France is Paris. The capital of Italy is Rome. The capital of Spain is",
    "The lighthouse keeper had not spoken to anyone since the storm, and so he",
    "def fibonacci(n):\n    \"\"\"Returns the n-th number of Fibonacci.\"\"\"\n",
    "Ten unusual first names for a cat:\n1.",
    ".",
};
constexpr std::uint32_t kContext = 512;

struct Free {
  void operator()(llama_model* model) const { llama_model_free(model); }
  void operator()(llama_context* context) const { llama_free(context); }
};
using Model = std::unique_ptr<llama_model, Free>;
using Context = std::unique_ptr<llama_context, Free>;

Context make_context(llama_model* model) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = kContext;
  params.n_threads = params.n_threads_batch = 1;
  return Context(llama_init_from_model(model, params));
}

/// Writes one row and says how flat it is. Returns the token to go on with: drawn from all, at temperature 1.
llama_token record(const float* logits, std::uint32_t vocabulary, std::uint64_t index, Workspace& workspace,
                   std::FILE* file) {
  const Row row{logits, vocabulary, DType::f32};
  const Draw draw = Draw::at(1, index);
  const Outcome nucleus = select(row, {.top_p = 0.9}, draw, workspace),
                drawn = select(row, {}, draw, workspace);
  if (!nucleus || !drawn || std::fwrite(logits, sizeof(float), vocabulary, file) != vocabulary) return -1;
  std::printf("{\"row\": %llu, \"vocabulary\": %u, \"kept\": %u}\n", static_cast<unsigned long long>(index),
              vocabulary, nucleus->kept_count);
  return static_cast<llama_token>(drawn->id);
}

/// Lets the model go on from a prompt and records each row. False when it cannot be evaluated.
bool record_answer(llama_model* model, const char* prompt, std::uint64_t rows, std::uint64_t& index,
                   Workspace& workspace, std::FILE* file) {
  const llama_vocab* vocab = llama_model_get_vocab(model);
  const auto vocabulary = static_cast<std::uint32_t>(llama_vocab_n_tokens(vocab));
  const Context context = make_context(model);
  std::array<llama_token, kContext> tokens;
  const auto length = static_cast<std::int32_t>(std::strlen(prompt));
  const std::int32_t count = llama_tokenize(vocab, prompt, length, tokens.data(), kContext, true, true);
  if (!context || count <= 0 || count + rows > kContext) return false;
  llama_batch batch = llama_batch_get_one(tokens.data(), count);
  for (std::uint64_t step = 0; step < rows; ++step) {
    if (llama_decode(context.get(), batch) != 0) return false;
    tokens[0] = record(llama_get_logits_ith(context.get(), -1), vocabulary, index++, workspace, file);
    if (tokens[0] < 0) return false;
    batch = llama_batch_get_one(tokens.data(), 1);
  }
  return true;
}

int run(const char* model_file, std::uint64_t rows, const char* out) {
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  const Model model(llama_model_load_from_file(model_file, llama_model_default_params()));
  std::FILE* const file = std::fopen(out, "wb");
  bool good = model && file != nullptr;
  if (good) {
    const llama_vocab* vocab = llama_model_get_vocab(model.get());
    Workspace workspace(static_cast<std::uint32_t>(llama_vocab_n_tokens(vocab)));
    std::uint64_t index = 0;
    for (const char* prompt : kPrompts)
      good = good && record_answer(model.get(), prompt, rows / kPrompts.size(), index, workspace, file);
  }
  if (file != nullptr) good = std::fclose(file) == 0 && good;
  if (!good) std::fprintf(stderr, "record_rows: cannot record from %s into %s\n", model_file, out);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace truekeel::select

int main(int argc, char** argv) {
  const std::uint64_t rows = argc == 4 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (rows == 0) {
    std::fputs("usage: record_rows MODEL.gguf ROWS FILE\n", stderr);
    return 2;
  }
  return truekeel::select::run(argv[1], rows, argv[3]);
}
