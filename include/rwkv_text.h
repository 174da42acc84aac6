/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_text.h: vocabularies, sampling, generation. Included by rwkv.h; include that.
 */
#ifndef RWKV_TEXT_H
#define RWKV_TEXT_H

#include "rwkv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- vocabulary ------------------------------------------------------------------------------- */

/* Open a vocabulary: a file in the format of rwkv_vocab_v20230424.txt, a .gguf that holds one, or
 * the word "bytes" (256 tokens, id = byte). */
RWKV_API rwkv_status rwkv_vocab_open(const char *path, rwkv_vocab **out, rwkv_error *err);
RWKV_API void rwkv_vocab_free(rwkv_vocab *vocab);

/* One more than the largest id that has text. */
RWKV_API size_t rwkv_vocab_size(const rwkv_vocab *vocab);

/* Bytes of the longest token. When so many bytes of a text are known from some byte on, the token
 * that begins there is certain, whatever follows: so a text can be encoded while it comes in. */
RWKV_API size_t rwkv_vocab_longest(const rwkv_vocab *vocab);

/* The bytes of a token, borrowed until the vocabulary is freed, not terminated; *size is 0 and the
 * result not NULL for an id without text (0 in the World vocabulary, unused ids, ids out of range).
 */
RWKV_API const char *rwkv_vocab_token(const rwkv_vocab *vocab, int32_t id, size_t *size);

/* Greedy longest match over `size` bytes (any bytes). Stores at most `capacity` ids in `tokens`
 * (nullable when capacity is 0) and returns how many the text has. Fails, returning
 * RWKV_ERROR_TOKEN, only with a vocabulary that lacks a byte of the text. At most `size` ids
 * result. */
RWKV_API rwkv_status rwkv_vocab_encode(const rwkv_vocab *vocab, const char *text, size_t size,
                                       int32_t *tokens, size_t capacity, size_t *n_tokens,
                                       rwkv_error *err);

/* The same from byte *at of the text on, at most `capacity` tokens: for texts of any length, piece
 * by piece. Afterwards *at is the byte behind the last of them. Zero *n_tokens: the text has ended.
 */
RWKV_API rwkv_status rwkv_vocab_encode_some(const rwkv_vocab *vocab, const char *text, size_t size,
                                            size_t *at, int32_t *tokens, size_t capacity,
                                            size_t *n_tokens, rwkv_error *err);

/* Concatenate the bytes of tokens. Stores at most `capacity` bytes and sets *size to all there are.
 * An id < 0 or ≥ 2³¹−1 fails; ids without text contribute nothing. */
RWKV_API rwkv_status rwkv_vocab_decode(const rwkv_vocab *vocab, const int32_t *tokens,
                                       size_t n_tokens, char *text, size_t capacity, size_t *size,
                                       rwkv_error *err);

/* --- sampling --------------------------------------------------------------------------------- */

typedef struct rwkv_logit_bias {
    int32_t token;
    float bias; /* added to the logit; -INFINITY bans the token */
} rwkv_logit_bias;

/* Which cut comes first. RWKV: the cuts act on the probabilities of the raw logits and the
 * temperature shapes what is left (as the official package does). TEMPERATURE_FIRST: the other
 * common order. */
typedef enum rwkv_sampler_order {
    RWKV_ORDER_RWKV,
    RWKV_ORDER_TEMPERATURE_FIRST
} rwkv_sampler_order;

/* All zero: temperature 1, no cuts, no penalties, seed 0. */
typedef struct rwkv_sampler_options {
    int greedy;          /* non-zero: the token of the largest logit, the first of equal ones */
    float temperature;   /* > 0; 0: 1.0 */
    float top_p;         /* keep the most likely until their sum reaches this; 0 or ≥ 1: off */
    int top_k;           /* keep the k most likely; 0: off */
    float min_p;         /* keep those of at least min_p × the largest probability; 0: off */
    float typical_p;     /* locally typical sampling; 0 or ≥ 1: off */
    float presence;      /* subtracted from the logit of every token generated before */
    float frequency;     /* subtracted once for every (decayed) earlier occurrence */
    float penalty_decay; /* counts are multiplied by this at each token; 0: 0.996 */
    uint64_t seed;       /* same seed, same draws */
    rwkv_sampler_order order;
    const rwkv_logit_bias *bias; /* [n_bias], copied */
    size_t n_bias;
} rwkv_sampler_options;

typedef struct rwkv_sampler rwkv_sampler;

/* `vocab` (nullable, borrowed until freed) tells which tokens are digits and blanks, which get no
 * frequency penalty, as in the official package. `n_vocab` is the length of the logits. */
RWKV_API rwkv_status rwkv_sampler_new(const rwkv_sampler_options *options, const rwkv_vocab *vocab,
                                      size_t n_vocab, rwkv_sampler **out, rwkv_error *err);
RWKV_API void rwkv_sampler_free(rwkv_sampler *sampler);

/* Choose the next token from `logits` [n_vocab] (not changed). Never fails: NaN logits count as −∞,
 * and where nothing is left, the token of the largest logit is chosen. Does not count it as
 * generated. */
RWKV_API int32_t rwkv_sampler_sample(rwkv_sampler *sampler, const float *logits);

/* Count `token` as generated, for the penalties. */
RWKV_API void rwkv_sampler_accept(rwkv_sampler *sampler, int32_t token);

/* Forget what was generated and start the draws anew from the seed. */
RWKV_API void rwkv_sampler_reset(rwkv_sampler *sampler);

/* --- generation ------------------------------------------------------------------------------- */

/* Receives text as it becomes final: whole UTF-8 characters, never part of a stop sequence.
 * Non-zero stops generation (finish RWKV_FINISH_CALLER). */
typedef int (*rwkv_text_fn)(void *user, const char *text, size_t size);

/* Receives every token as it is chosen, before its text and before it is in the state; stop tokens
 * not. Non-zero stops generation after this token (finish RWKV_FINISH_CALLER). */
typedef int (*rwkv_token_fn)(void *user, int32_t token);

typedef enum rwkv_finish {
    RWKV_FINISH_LENGTH,   /* max_tokens were generated */
    RWKV_FINISH_STOP,     /* a stop sequence or stop token came */
    RWKV_FINISH_CALLER,   /* a callback, the cancel flag or rwkv_batch_cancel stopped it */
    RWKV_FINISH_DEADLINE, /* in a batch: its time was over */
    RWKV_FINISH_ERROR     /* in a batch: it failed, and its event says why */
} rwkv_finish;

/* What a text may be: rwkv_grammar.h. */
typedef struct rwkv_grammar rwkv_grammar;

/* Calls of tools in a text: rwkv_chat.h. */
typedef struct rwkv_call_options rwkv_call_options;

typedef struct rwkv_generate_options {
    size_t max_tokens; /* 0: no limit */
    rwkv_sampler_options sampler;
    const char *const *stop; /* [n_stop] strings; matched on the text, not on tokens */
    size_t n_stop;
    const int32_t *stop_tokens; /* [n_stop_tokens] */
    size_t n_stop_tokens;
    int ignore_eos; /* non-zero: token 0 does not stop (byte vocabularies: it never
                       does, being an ordinary byte) */
    /* Nullable, borrowed until the generation, or the sequence of a batch, has finished: tokens
     * that would leave the grammar are not chosen, and a text that can only end, ends. */
    const rwkv_grammar *grammar;
    const rwkv_call_options *calls; /* nullable: the grammar holds only inside calls of tools */
    const volatile int *cancel;     /* nullable; generation stops when *cancel becomes non-zero */
    rwkv_progress_fn progress;      /* nullable; tokens of the prompt evaluated, of all */
    void *progress_user;
    rwkv_token_fn token; /* nullable */
    void *token_user;
} rwkv_generate_options;

typedef struct rwkv_generate_result {
    size_t prompt_tokens;
    size_t generated_tokens;
    double prompt_seconds;
    double generate_seconds;
    rwkv_finish finish;
    int ended_by_eos; /* the stop was token 0 or a stop token: it is not in the state */
} rwkv_generate_result;

/* Evaluate `prompt` (UTF-8 or any bytes, terminated; may be empty when the session has logits) and
 * generate. Tokens of a stop sequence are in the session's state, a stop token is not. `result` is
 * nullable and is filled as far as things went, also on failure. */
RWKV_API rwkv_status rwkv_generate(rwkv_session *session, const char *prompt,
                                   const rwkv_generate_options *options, rwkv_text_fn text,
                                   void *user, rwkv_generate_result *result, rwkv_error *err);

/* The same with tokens as the prompt. */
RWKV_API rwkv_status rwkv_generate_tokens(rwkv_session *session, const int32_t *tokens,
                                          size_t n_tokens, const rwkv_generate_options *options,
                                          rwkv_text_fn text, void *user,
                                          rwkv_generate_result *result, rwkv_error *err);

#ifdef __cplusplus
}
#endif

#endif
