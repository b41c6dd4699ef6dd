/* SPDX-License-Identifier: Apache-2.0
 *
 * A small libllama program that samples with Truekeel and shows each token's audit record.
 *
 *   llama_sampler_example MODEL.gguf [SEED [PROMPT]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "truekeel/llama_sampler.h"

enum { TOKENS_MAX = 512, TOKENS_NEW = 16 };

static void quiet(enum ggml_log_level level, const char* text, void* data) {
  (void)data;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static int fail(const char* what) {
  fprintf(stderr, "llama_sampler_example: %s\n", what);
  return 1;
}

static int generate(struct llama_context* context, const struct llama_vocab* vocab,
                    struct llama_sampler* sampler, llama_token* tokens, int32_t count) {
  struct llama_batch batch = llama_batch_get_one(tokens, count);
  for (int i = 0; i < TOKENS_NEW; ++i) {
    if (llama_decode(context, batch) != 0) return fail("the model could not be evaluated");
    llama_token token = truekeel_llama_sample(sampler, context, -1);
    const tk_select_choice* choice = truekeel_llama_sampler_choice(sampler);
    if (token == LLAMA_TOKEN_NULL) return fail(tk_select_fault_text(choice->fault));

    char piece[128];
    const int32_t length = llama_token_to_piece(vocab, token, piece, sizeof piece, 0, true);
    printf("%6d  rank %3" PRIu32 " of %4" PRIu32 " kept, probability %.4f  %.*s\n", token, choice->rank,
           choice->kept_count, (double)(choice->end - choice->begin) / (double)choice->kept_weight,
           length > 0 ? length : 0, piece);
    if (llama_vocab_is_eog(vocab, token)) break;
    batch = llama_batch_get_one(&token, 1);
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 2) return fail("usage: llama_sampler_example MODEL.gguf [SEED [PROMPT]]");
  const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  const char* prompt = argc > 3 ? argv[3] : "The lighthouse keeper said";
  llama_log_set(quiet, NULL);

  struct llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (model == NULL) return fail("the model could not be loaded");
  struct llama_context_params context_params = llama_context_default_params();
  context_params.n_ctx = TOKENS_MAX;
  /* Enough for a small model, and no thread spins while another waits for a busy machine. */
  context_params.n_threads = context_params.n_threads_batch = 1;
  struct llama_context* context = llama_init_from_model(model, context_params);
  const struct llama_vocab* vocab = llama_model_get_vocab(model);

  tk_select_params params;
  tk_select_params_init(&params);
  params.temperature = 0.8f;
  params.top_k = 40;
  params.top_p = 0.95;
  struct llama_sampler* sampler =
      truekeel_llama_sampler_init((uint32_t)llama_vocab_n_tokens(vocab), seed, 0, &params);

  int result = 1;
  llama_token tokens[TOKENS_MAX - TOKENS_NEW];
  const int32_t count =
      llama_tokenize(vocab, prompt, (int32_t)strlen(prompt), tokens, TOKENS_MAX - TOKENS_NEW, true, true);
  if (context == NULL || sampler == NULL || count <= 0)
    fail("no context, sampler or prompt");
  else
    result = generate(context, vocab, sampler, tokens, count);

  llama_sampler_free(sampler);
  llama_free(context);
  llama_model_free(model);
  return result;
}
