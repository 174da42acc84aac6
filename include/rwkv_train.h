/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_train.h: training RWKV language models.
 *
 * The gradient of a model, for checking and for programs that train in their own way:
 *
 *     rwkv_gradient *g;
 *     rwkv_gradient_options options = {.max_tokens = 512};
 *     rwkv_example text = {.tokens = tokens, .n_tokens = n};
 *     if (rwkv_gradient_new(model, &options, &g, &err) == RWKV_OK) {
 *         rwkv_gradient_result r;
 *         if (rwkv_gradient_add(g, &text, 1, 0, &err) == RWKV_OK) {
 *             rwkv_gradient_get_result(g, &r);
 *             printf("loss %.6f, norm of the gradient %.6f\n", r.loss, r.norm);
 *             rwkv_gradient_save(g, "gradients.safetensors", &err);
 *         }
 *         rwkv_gradient_free(g);
 *     }
 *
 * Reproducibility: all of it is bit-identical whatever the number of threads, with checkpointing or
 * without, and however sequences are spread over calls. Results may differ, within rounding,
 * between instruction sets.
 */
#ifndef RWKV_TRAIN_H
#define RWKV_TRAIN_H

#include "rwkv.h"
#include "rwkv_file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of products of matrices; everything else is computed, and all sums are made, in f32. */
typedef enum rwkv_precision {
    RWKV_PRECISION_F32,
    RWKV_PRECISION_BF16 /* of operands rounded to bf16 */
} rwkv_precision;

/* --- gradients -------------------------------------------------------------------------------- */

/* A copy of a model's parameters in f32, and the gradient of a loss by all of them. */
typedef struct rwkv_gradient rwkv_gradient;

typedef struct rwkv_gradient_options {
    size_t max_tokens;    /* of all sequences of one call together; at least 1 */
    size_t max_sequences; /* of one call; 0: 1 */
    int checkpoint;       /* keep of each block only its input, and compute the rest again: less
                             memory, the same bits, about a third more work */
    rwkv_precision precision;
    double l2wrap;         /* L2Wrap: the derivative by each token's largest logit gets so much of
                              that logit more; 0: none. BlinkDL trains with 1e-4 */
    uint64_t memory_limit; /* refuse if more bytes would be needed; 0: what the system says is
                              available */
} rwkv_gradient_options;

/* Bytes. */
typedef struct rwkv_gradient_memory {
    uint64_t parameters;  /* in f32 */
    uint64_t gradients;   /* as many */
    uint64_t activations; /* kept from the forward pass */
    uint64_t work;        /* everything else */
    uint64_t total;
} rwkv_gradient_memory;

/* One text, or a piece of one. States lie as L layers of shift [C], shift [C], matrices [H, N, N]:
 * rwkv_layer_state's three parts one after the other, rwkv_gradient_state_size() floats in all. */
typedef struct rwkv_example {
    const int32_t *tokens;
    const int32_t *targets; /* of each token the one to be predicted, below 0: none. NULL: the one
                               that follows; the last has none */
    size_t n_tokens;        /* at least 1 */
    const float *initial;   /* the state before the first token; NULL: zeros */
    float *final;           /* receives the state after the last; NULL: not wanted. May be
                               `initial` */
    float *dstate; /* before: the derivative of the loss by the state after the last token; after:
                      by the initial state. NULL: zero, not wanted */
} rwkv_example;

/* What rwkv_gradient_new would take. */
RWKV_API rwkv_status rwkv_gradient_plan(const rwkv_model *model,
                                        const rwkv_gradient_options *options,
                                        rwkv_gradient_memory *out, rwkv_error *err);

/* Copy the parameters of a model and begin with a gradient of zero. Runs on as many threads, and
 * with the instructions, that the model was opened with; the model may then be closed. */
RWKV_API rwkv_status rwkv_gradient_new(const rwkv_model *model,
                                       const rwkv_gradient_options *options, rwkv_gradient **out,
                                       rwkv_error *err);
RWKV_API void rwkv_gradient_free(rwkv_gradient *gradient);

/* Floats of a state. */
RWKV_API size_t rwkv_gradient_state_size(const rwkv_gradient *gradient);

/* Evaluate `n` examples and add `scale` times the derivative of the sum of their targets' losses to
 * the gradient. For the gradient of a mean over several calls, `scale` is 1 / the targets of all;
 * 0: 1 / the targets of this call. On failure (a token or target outside [0, V), too many tokens or
 * examples, no target at all) nothing has changed. */
RWKV_API rwkv_status rwkv_gradient_add(rwkv_gradient *gradient, const rwkv_example *examples,
                                       size_t n, double scale, rwkv_error *err);

/* Back to a gradient of zero and no loss. */
RWKV_API void rwkv_gradient_reset(rwkv_gradient *gradient);

/* What was added since the beginning. */
typedef struct rwkv_gradient_result {
    double loss;      /* mean over the targets, in nats; 0 without targets */
    double norm;      /* of the gradient, all tensors together */
    uint64_t targets; /* evaluated */
} rwkv_gradient_result;

RWKV_API void rwkv_gradient_get_result(const rwkv_gradient *gradient, rwkv_gradient_result *out);

/* The gradient's tensors, in the names, shapes and orientation of BlinkDL's files. */
typedef struct rwkv_gradient_tensor {
    const char *name; /* borrowed until the gradient is freed */
    size_t n_dims;
    size_t shape[RWKV_MAX_DIMS];
    uint64_t n_elements;
    double norm; /* 2-norm */
} rwkv_gradient_tensor;

RWKV_API size_t rwkv_gradient_count(const rwkv_gradient *gradient);
RWKV_API void rwkv_gradient_get_tensor(const rwkv_gradient *gradient, size_t index,
                                       rwkv_gradient_tensor *out);
RWKV_API void rwkv_gradient_read(const rwkv_gradient *gradient, size_t index,
                                 float *to); /* [n_elements] */

/* Write all of them as F32, after a tensor `loss` [1] of F64, the mean, to a .safetensors or .pth.
 */
RWKV_API rwkv_status rwkv_gradient_save(const rwkv_gradient *gradient, const char *path,
                                        rwkv_error *err);

#ifdef __cplusplus
}
#endif

#endif
