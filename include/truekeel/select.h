/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact token selection: the same token, bit for bit, for every shard count, thread count, SIMD target, batch
 * and compiler. The contract with its mathematics: docs/selection.md.
 *
 * Thread safety: every function may be called from any thread; a workspace serves one call at a time.
 * No function throws or keeps a pointer after it returns; none allocates, but to refuse a chain.
 *
 * Compatibility: params, calls and transports begin with their size as the caller knows it; the sizes of what
 * is written (choices, full records, answers) stand in the call. Fields are only ever added at the end. A
 * library that is newer than its caller uses defaults for the fields that the caller lacks and writes no more
 * than it knows; one that is older refuses fields that it does not know unless they are zero
 * (TK_SELECT_BAD_STRUCT), and writes zeros where it knows nothing. tk_select_count and tk_select_bias never
 * change.
 */
#ifndef TRUEKEEL_SELECT_H_
#define TRUEKEEL_SELECT_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TK_SELECT_API __attribute__((visibility("default")))
#else
#define TK_SELECT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif
/* NOLINTBEGIN(modernize-use-using): this is C. */

/* Types of logits. */
enum { TK_SELECT_F32 = 0, TK_SELECT_F16 = 1, TK_SELECT_BF16 = 2 };

/* Operations of a chain. Those that change logits (bias, penalties, mask) stand before the others; each
 * stands at most once. */
enum {
  TK_SELECT_OP_BIAS = 0,
  TK_SELECT_OP_PENALTIES = 1,
  TK_SELECT_OP_MASK = 2,
  TK_SELECT_OP_TEMPERATURE = 3,
  TK_SELECT_OP_TOP_K = 4,
  TK_SELECT_OP_TOP_P = 5,
  TK_SELECT_OP_MIN_P = 6,
  TK_SELECT_OPS = 7
};

/* What can be wrong, with a row or with a call. */
enum {
  TK_SELECT_OK = 0,
  TK_SELECT_NAN_LOGIT = 1,       /* id: the first such token */
  TK_SELECT_INFINITE_LOGIT = 2,  /* +inf, in the row or after bias and penalties; id: the first such token */
  TK_SELECT_ALL_FORBIDDEN = 3,   /* every token is -inf or masked */
  TK_SELECT_BAD_TEMPERATURE = 4, /* must be 0, or from 2^-64 to 2^64 */
  TK_SELECT_BAD_TOP_P = 5,       /* must be in [0, 1] */
  TK_SELECT_BAD_MIN_P = 6,       /* must be in [0, 1] */
  TK_SELECT_BAD_PENALTY = 7,     /* must be finite, repetition above 0 */
  TK_SELECT_BAD_BIAS = 8,        /* must be finite; id: the token */
  TK_SELECT_ID_OUT_OF_RANGE = 9, /* id: a token of counts or bias that the vocabulary does not have */
  TK_SELECT_IDS_NOT_ASCENDING = 10, /* id: where counts or bias are out of order */
  TK_SELECT_MASK_TOO_SHORT = 11,
  TK_SELECT_OPERATION_MISSING = 12, /* a parameter is set whose operation is not in the chain */
  TK_SELECT_BAD_VOCABULARY = 13,    /* 1 to 524288 tokens */
  TK_SELECT_BAD_BATCH = 14,         /* a pointer is missing, or stride, counts or dtype do not fit */
  TK_SELECT_WORKSPACE_TOO_SMALL = 15,
  TK_SELECT_SHARD_DTYPES_DIFFER = 16, /* fault_shards: those unlike shard 0 */
  TK_SELECT_SHARD_REQUESTS_DIFFER =
      17,                             /* parameters, draw or vocabulary; fault_shards: those unlike shard 0 */
  TK_SELECT_SHARD_RANGES_DIFFER = 18, /* they do not cover the vocabulary one after the other */
  TK_SELECT_TRANSPORT_FAILED = 19,    /* a callback said so */
  TK_SELECT_BAD_STRUCT = 100, /* a struct has an unknown size, or fields that this library does not know */
  TK_SELECT_BAD_CHAIN = 101   /* an unknown operation, one that stands twice, or an edit after a filter */
};

#define TK_SELECT_NO_ID UINT32_MAX

/* How often a token occurred. counted: for presence and frequency; repeated (0 or 1): for repetition. */
typedef struct tk_select_count {
  uint32_t id;
  uint32_t counted;
  uint32_t repeated;
} tk_select_count;

typedef struct tk_select_bias {
  uint32_t id;
  float bias;
} tk_select_bias;

/* What is asked for one row. Initialise with tk_select_params_init. Ids of counts and bias ascend. */
typedef struct tk_select_params {
  uint32_t struct_size;
  uint32_t chain_length;
  const uint8_t* chain; /* TK_SELECT_OP_...; NULL: the default, in the order of the enumeration */
  float temperature;    /* 0: greedy, ties to the lower id */
  uint32_t top_k;       /* 0: off */
  double top_p;         /* 1: off */
  double min_p;         /* 0: off */
  float repetition;     /* 1: off; x > 0 ? x / repetition : x * repetition */
  float frequency;      /* 0: off; subtracted for each counted occurrence */
  float presence;       /* 0: off; subtracted if counted at all */
  uint32_t unused;
  const tk_select_count* counts;
  size_t counts_length;
  const tk_select_bias* bias;
  size_t bias_length;
  const uint64_t* allowed; /* bit id % 64 of word id / 64; NULL: all are allowed */
  size_t allowed_words;
} tk_select_params;

/* The chosen token and its basic record: its interval holds floor(bits * kept_weight / 2^64). Weights are in
 * units of 2^-44 of the top token's. Zero but for fault and fault_id when fault is not TK_SELECT_OK. */
typedef struct tk_select_choice {
  uint32_t fault;
  uint32_t fault_id; /* TK_SELECT_NO_ID: none */
  uint32_t id;
  uint32_t rank;       /* tokens before it in the order (key descending, id ascending) */
  uint32_t key_margin; /* the top's key - its own */
  uint32_t kept_count;
  uint64_t kept_weight;
  uint64_t begin, end;
  uint64_t fault_shards; /* bit s for shard s; the last bit for 63 and all after it */
} tk_select_choice;

/* The token in the raw distribution, before bias, penalties, mask, temperature and filters. */
typedef struct tk_select_full {
  double logprob;
  double normaliser;   /* log-sum-exp: logprob = logit - normaliser */
  double top_margin;   /* top logit - own, nats */
  double tail_mass[3]; /* probability of all tokens below 1e-3, 1e-4, 1e-5 */
  uint32_t top_id;
  uint32_t unused;
} tk_select_full;

/* Rows to select from. params is an array of params_count structs, each params[0].struct_size bytes long. */
typedef struct tk_select_call {
  uint32_t struct_size;
  uint32_t dtype;
  const void* logits; /* aligned to the type */
  uint32_t rows;
  uint32_t vocabulary;
  size_t stride; /* elements from row to row; 0: vocabulary. Padding between them is never read. */
  const tk_select_params* params;
  uint32_t params_count; /* 1: for all rows; else rows */
  uint32_t choice_size;  /* sizeof(tk_select_choice) */
  const uint64_t* draws; /* 64 uniform bits a row, from tk_select_draw */
  void* workspace;       /* of tk_select_workspace_bytes(vocabulary) */
  size_t workspace_bytes;
  tk_select_choice* choices; /* rows */
  tk_select_full* full;      /* rows, or NULL: no full records (they cost about one pass more) */
  uint32_t full_size;        /* sizeof(tk_select_full) */
  uint32_t unused;
} tk_select_call;

/* Selects. What is wrong with one row stands in its choice and has no effect on others; the returned fault is
 * of the call as a whole, and then nothing is written. failed_rows may be NULL. */
TK_SELECT_API uint32_t tk_select(const tk_select_call* call, uint32_t* failed_rows);

/* What the shards of a row say to each other: collective operations as MPI and NCCL have them. Every shard
 * calls the same ones in the same order with the same sizes. Each returns 0, or anything else when it failed.
 */
typedef struct tk_select_transport {
  uint32_t struct_size;
  uint32_t rank;   /* of this shard */
  uint32_t shards; /* in all */
  uint32_t unused;
  void* context; /* handed to every callback */
  /* all becomes the concatenation of every shard's own bytes, in the order of ranks. */
  int (*all_gather)(void* context, const void* own, size_t bytes, void* all);
  /* values become their sums over all shards, modulo 2^64. */
  int (*all_reduce_sum)(void* context, uint64_t* values, size_t count);
  /* value becomes the sum over all lower ranks; 0 at rank 0. */
  int (*exclusive_scan)(void* context, uint64_t* value);
  /* Every shard's bytes become the root's. */
  int (*broadcast)(void* context, void* data, size_t bytes, uint32_t root);
} tk_select_transport;

/* One shard's part of one row: the tokens [first_id, first_id + size) of a vocabulary, possibly none. The
 * parts follow one another in the order of ranks. params, draw, vocabulary and round_to_coarsest are the same
 * on every shard; ids in params are those of the whole vocabulary. */
typedef struct tk_select_shard_call {
  uint32_t struct_size;
  uint32_t dtype;
  const void* logits;
  uint32_t first_id;
  uint32_t size;
  uint32_t vocabulary;
  uint32_t round_to_coarsest; /* shards of different types: 0 refuses them, 1 rounds all to the coarsest */
  const tk_select_params* params;
  uint64_t draw;
  const tk_select_transport* transport;
  void* workspace; /* of tk_select_shard_workspace_bytes(vocabulary, shards) */
  size_t workspace_bytes;
  tk_select_choice* choice;
  tk_select_full* full; /* or NULL: no full record */
  uint32_t choice_size;
  uint32_t full_size;
} tk_select_shard_call;

/* Selects one token from a row in shards. Every shard gets the same choice and record, those of the whole row
 * in one piece. A returned fault is of this shard's call alone: it then has said nothing to the others, which
 * wait. */
TK_SELECT_API uint32_t tk_select_shard(const tk_select_shard_call* call);

/* 0 when the vocabulary is not supported, or there is no shard. */
TK_SELECT_API size_t tk_select_shard_workspace_bytes(uint32_t vocabulary, uint32_t shards);

/* Approximate top-k as accelerators do it: of the tokens t with equal t % bins the best alone is a candidate.
 */
typedef struct tk_select_bins_call {
  uint32_t struct_size;
  uint32_t dtype;
  const void* logits;
  uint32_t vocabulary;
  uint32_t k;    /* at least 1 */
  uint32_t bins; /* a power of two from 256 on */
  uint32_t
      exact_if_uncertified; /* 1: answer by the exact algorithm where the bins' answer is not certified */
  void* workspace;          /* of tk_select_workspace_bytes(vocabulary) */
  size_t workspace_bytes;
  uint32_t* ids;        /* k; those of the answer are written, ascending */
  uint32_t answer_size; /* sizeof(tk_select_bins_answer) */
  uint32_t unused;
} tk_select_bins_call;

typedef struct tk_select_bins_answer {
  uint32_t fault_id;  /* TK_SELECT_NO_ID: none */
  uint32_t count;     /* ids written */
  uint32_t certified; /* 1: the bins' answer is proved to be the k best */
  uint32_t exact;     /* 1: certified, or answered by the exact algorithm */
} tk_select_bins_answer;

/* The k best tokens by bins; the best of all is always among them. */
TK_SELECT_API uint32_t tk_select_top_k_by_bins(const tk_select_bins_call* call,
                                               tk_select_bins_answer* answer);

/* Fills params with defaults. size: sizeof(tk_select_params), as the caller knows it. */
TK_SELECT_API void tk_select_params_init_sized(tk_select_params* params, uint32_t size);

static inline void tk_select_params_init(tk_select_params* params) {
  tk_select_params_init_sized(params, (uint32_t)sizeof *params);
}

/* 0 when the vocabulary is not supported. */
TK_SELECT_API size_t tk_select_workspace_bytes(uint32_t vocabulary);

/* 64 uniform bits for one position of one stream under a seed: Philox4x32-10. */
TK_SELECT_API uint64_t tk_select_draw(uint64_t seed, uint64_t position, uint32_t stream);

/* The weight of a logit x <= max at a temperature that is not 0. */
TK_SELECT_API uint64_t tk_select_weight(float x, float max, float temperature);

/* Reads "standard", "llama.cpp", "vllm", "hf" or names joined by commas into at most TK_SELECT_OPS
 * operations. */
TK_SELECT_API uint32_t tk_select_parse_chain(const char* text, uint8_t ops[TK_SELECT_OPS], uint32_t* length);

/* A fault in words, and the version of the library, as in "0.1.0". Static strings. */
TK_SELECT_API const char* tk_select_fault_text(uint32_t fault);
TK_SELECT_API const char* tk_select_version(void);

/* NOLINTEND(modernize-use-using) */
#ifdef __cplusplus
}
#endif

#endif
