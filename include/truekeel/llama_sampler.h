/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact token selection as a llama_sampler: the last sampler of a chain, or the only one, in any program
 * that uses libllama. It filters, penalises and draws by itself; samplers before it may only change logits
 * or remove candidates.
 *
 * The draw is keyed by (seed, stream, number of tokens accepted): equal logits, parameters and history give
 * equal tokens, whatever else the program samples, and applying twice without accepting gives the same token.
 *
 * Thread safety: one thread at a time for one sampler.
 */
#ifndef TRUEKEEL_LLAMA_SAMPLER_H_
#define TRUEKEEL_LLAMA_SAMPLER_H_

#include <llama.h>

#include "truekeel/select.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A sampler for a vocabulary of n_vocab tokens; NULL when a parameter is refused. The parameters are copied;
 * counts must be empty: the sampler counts what it accepts, prompts included if the program accepts them.
 * Free it with llama_sampler_free, or let the chain that owns it do so. */
TK_SELECT_API struct llama_sampler* truekeel_llama_sampler_init(uint32_t n_vocab, uint64_t seed,
                                                                uint32_t stream,
                                                                const tk_select_params* params);

/* What the last apply chose, with its audit record, or why it chose none (TK_SELECT_BAD_BATCH before the
 * first): then choice.fault is not TK_SELECT_OK, no candidate is selected, and llama_sampler_sample ends the
 * program as it does for any sampler without a choice. NULL when the sampler is not one of these. */
TK_SELECT_API const tk_select_choice* truekeel_llama_sampler_choice(const struct llama_sampler* sampler);

/* Selects from the logits of an output of the context and accepts the token, without the array of candidates
 * that llama_sampler_sample builds (12 bytes a token). LLAMA_TOKEN_NULL when the row is refused; the choice
 * says why, and the program goes on. */
TK_SELECT_API llama_token truekeel_llama_sample(struct llama_sampler* sampler, struct llama_context* context,
                                                int32_t index);

#ifdef __cplusplus
}
#endif

#endif
