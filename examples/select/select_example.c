/* SPDX-License-Identifier: Apache-2.0
 * Selects one token for each of two rows of logits and prints it with its audit record. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <truekeel/select.h>

enum { ROWS = 2, VOCABULARY = 6 };

int main(void) {
  static const float logits[ROWS * VOCABULARY] = {2.0f, 1.0f, 0.5f, -1.0f, 1.0f, -3.0f,
                                                  0.0f, 0.1f, 0.2f, 0.3f,  0.4f, 0.5f};
  tk_select_params params;
  tk_select_params_init(&params);
  params.temperature = 0.8f;
  params.top_k = 4;
  params.top_p = 0.95;

  uint64_t draws[ROWS];
  for (uint32_t row = 0; row < ROWS; ++row)
    draws[row] = tk_select_draw(42 + row, 0, 0); /* seed, position, stream */

  tk_select_choice choices[ROWS];
  tk_select_call call = {.struct_size = sizeof call};
  call.dtype = TK_SELECT_F32;
  call.logits = logits;
  call.rows = ROWS;
  call.vocabulary = VOCABULARY;
  call.params = &params;
  call.params_count = 1; /* the same for both rows */
  call.choice_size = sizeof choices[0];
  call.draws = draws;
  call.workspace_bytes = tk_select_workspace_bytes(VOCABULARY);
  call.workspace = malloc(call.workspace_bytes);
  call.choices = choices;

  const uint32_t fault = tk_select(&call, NULL);
  free(call.workspace);
  if (fault != TK_SELECT_OK) {
    fprintf(stderr, "tk_select: %s\n", tk_select_fault_text(fault));
    return 1;
  }
  for (uint32_t row = 0; row < ROWS; ++row) {
    const tk_select_choice* c = &choices[row];
    if (c->fault != TK_SELECT_OK) {
      fprintf(stderr, "row %u: %s\n", row, tk_select_fault_text(c->fault));
      return 1;
    }
    printf("row %u: token %u, rank %u of %u kept, probability %.4f, interval [%" PRIu64 ", %" PRIu64 ")\n",
           row, c->id, c->rank, c->kept_count, (double)(c->end - c->begin) / (double)c->kept_weight, c->begin,
           c->end);
  }
  return 0;
}
