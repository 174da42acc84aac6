/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_evaluate.h: how well a model predicts a text, and how far it strays from another one (from
 * which it was quantized, say). Tokens are fed as they come; memory does not grow with the text.
 *
 *     rwkv_evaluator *e;
 *     rwkv_evaluation r;
 *     if (rwkv_evaluator_new(model, NULL, &e, &err) == RWKV_OK) {
 *         while (err.code == RWKV_OK && (n = read_some(tokens)) > 0)
 *             rwkv_evaluator_feed(e, tokens, n, &err);
 *         rwkv_evaluator_result(e, &r);
 *         printf("perplexity %.4f ± %.4f\n", r.perplexity.mean, r.perplexity.error);
 *         rwkv_evaluator_free(e);
 *     }
 *
 * A token is scored by −ln of the probability that the model gave it before it came, in nats. The
 * softmax is taken in double precision and every sum has one order, so results are bit-identical
 * whatever the number of threads, the chunk, and the pieces in which tokens are fed.
 *
 * Standard errors treat the tokens as independent of each other, which they are not quite: take
 * them for a lower bound.
 */
#ifndef RWKV_EVALUATE_H
#define RWKV_EVALUATE_H

#include "rwkv.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rwkv_evaluator rwkv_evaluator;

typedef struct rwkv_evaluate_options {
    size_t window;    /* 0: one text, the state carried from its first token to its last, all but
                         the first token scored. Else at least 3: every so many tokens the state
                         starts anew, and the last window − window/2 − 1 of them are scored, as
                         llama-perplexity does; a window that is not filled counts as far as it
                         goes. */
    rwkv_model *base; /* nullable: evaluate it too and compare; kept by reference. It must have as
                         many tokens in its vocabulary as the model. */
} rwkv_evaluate_options;

/* A mean over the scored tokens and its standard error, infinite as long as there is one token. */
typedef struct rwkv_estimate {
    double mean, error;
} rwkv_estimate;

/* All zero as long as nothing has been scored. */
typedef struct rwkv_evaluation {
    uint64_t tokens;          /* fed */
    uint64_t scored;          /* of them */
    uint64_t scored_bytes;    /* text of the scored; 0 if the model has no vocabulary */
    rwkv_estimate loss;       /* −ln p of a token */
    rwkv_estimate perplexity; /* e^loss */
    double bits_per_byte;     /* all losses, in bits, over scored_bytes; 0 without a vocabulary */
    double seconds;           /* spent in rwkv_evaluator_feed */

    /* With a base, else zero. p of the base, q of the model. */
    rwkv_estimate base_loss, base_perplexity;
    rwkv_estimate
        perplexity_ratio;     /* model / base; the error from the differences token by token */
    rwkv_estimate divergence; /* Σ p ln(p / q) over the vocabulary */
    double divergence_p99;    /* 99 of 100 tokens have at most this; to within half a per cent */
    double divergence_max;
    rwkv_estimate same_top; /* share of tokens where both find the same one the most likely */
    double probability_rms; /* root mean square of the difference of the next token's probability */
} rwkv_evaluation;

/* Begin. `options` may be NULL. The model is kept by reference; its vocabulary, if it has one,
 * gives the bytes. */
RWKV_API rwkv_status rwkv_evaluator_new(rwkv_model *model, const rwkv_evaluate_options *options,
                                        rwkv_evaluator **out, rwkv_error *err);
RWKV_API void rwkv_evaluator_free(rwkv_evaluator *evaluator);

/* Go on with the text. A token id outside [0, V) is refused before anything is evaluated. Logits
 * that are not finite fail with RWKV_ERROR_MODEL; what was scored before them stands, and nothing
 * more can be fed. */
RWKV_API rwkv_status rwkv_evaluator_feed(rwkv_evaluator *evaluator, const int32_t *tokens,
                                         size_t n_tokens, rwkv_error *err);

/* What was measured so far; more may be fed afterwards. */
RWKV_API void rwkv_evaluator_result(const rwkv_evaluator *evaluator, rwkv_evaluation *out);

#ifdef __cplusplus
}
#endif

#endif
