/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_quantize.h: make models smaller. Matrices are stored in blocks of a few bits a number, found
 * by a search that keeps the error least, optionally of those inputs that matter: the importance of
 * each input of each matrix is measured by running the model over a text.
 *
 *     rwkv_importance *importance = NULL;
 *     if (rwkv_importance_measure(model, tokens, n_tokens, NULL, NULL, &importance, &err) == 0) {
 *         rwkv_quantize_options options = {.dtype = RWKV_DTYPE_Q4_K, .importance = importance};
 *         rwkv_quantize("model.pth", "model-q4_k.gguf", &options, &err);
 *     }
 *     rwkv_importance_free(importance);
 *
 * Which tensor gets which type: see rwkv_quantize.
 */
#ifndef RWKV_QUANTIZE_H
#define RWKV_QUANTIZE_H

#include "rwkv.h"
#include "rwkv_file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- importance ------------------------------------------------------------------------------- */

/* For matrices, by the names they have in a GGUF, the mean square of each input. Immutable. */
typedef struct rwkv_importance rwkv_importance;

/* Run the model over `tokens` (≥ 1) from an empty state and gather the inputs of every matrix but
 * the embedding. No other session of the model may be evaluated meanwhile. `progress` (nullable) is
 * told of tokens. */
RWKV_API rwkv_status rwkv_importance_measure(rwkv_model *model, const int32_t *tokens,
                                             size_t n_tokens, rwkv_progress_fn progress, void *user,
                                             rwkv_importance **out, rwkv_error *err);

/* Read and write the GGUF form that llama.cpp's llama-imatrix and llama-quantize use. `text`
 * (nullable) names what was measured on and is copied into the file. The path to write must end in
 * .gguf; a file there is replaced. */
RWKV_API rwkv_status rwkv_importance_open(const char *path, rwkv_importance **out, rwkv_error *err);
RWKV_API rwkv_status rwkv_importance_save(const rwkv_importance *importance, const char *path,
                                          const char *text, rwkv_error *err);
RWKV_API void rwkv_importance_free(rwkv_importance *importance);

RWKV_API size_t rwkv_importance_count(const rwkv_importance *importance); /* matrices */

/* The mean squares of the inputs of the matrix of that name, borrowed from `importance`, and how
 * many there are; NULL if it has none. */
RWKV_API const float *rwkv_importance_find(const rwkv_importance *importance, const char *name,
                                           size_t *n_inputs);

/* --- quantization ----------------------------------------------------------------------------- */

/* A type for the matrices whose name matches. `*`, `?` and [sets] are those of a shell; the names
 * tried are those in a GGUF (blk.0.time_mix_key.weight), BlinkDL's (blocks.0.att.key.weight) and
 * Hugging Face's (model.layers.0.attn.k_proj.weight). */
typedef struct rwkv_quantize_rule {
    const char *pattern;
    rwkv_dtype dtype; /* below RWKV_DTYPE_MODEL_COUNT */
} rwkv_quantize_rule;

/* What became of a tensor. Errors are measured on what was written, read back. */
typedef struct rwkv_quantized_tensor {
    const char *name; /* in the GGUF; borrowed during the call */
    size_t n_dims;
    size_t shape[RWKV_MAX_DIMS]; /* row-major */
    rwkv_dtype from, to;
    rwkv_dtype wanted; /* not `to` where the rows fit no block of the type that was due */
    int is_matrix;     /* zero: a vector or the mixes, always F32 */
    int weighted;      /* the importance of its inputs was known */
    uint64_t n_elements, n_bytes;
    double square_error, square_sum; /* Σ (x − x̂)², Σ x² */
    double weighted_error; /* Σ wᵢ (x − x̂)² / Σ wᵢ x²; without importance w is 1 */
    double max_error;      /* the largest |x − x̂| */
} rwkv_quantized_tensor;

typedef void (*rwkv_quantized_fn)(void *user, const rwkv_quantized_tensor *tensor);

typedef struct rwkv_quantize_options {
    rwkv_dtype dtype;                /* a block type */
    const rwkv_quantize_rule *rules; /* [n_rules]; of those that match, the last counts */
    size_t n_rules;
    const rwkv_importance *importance; /* nullable */
    const char *vocab;                 /* as in rwkv_model_options */
    int overwrite;                     /* zero: refuse when the output exists */
    int threads;                       /* as in rwkv_model_options */
    rwkv_progress_fn progress;         /* nullable; bytes of the output */
    void *progress_user;
    rwkv_quantized_fn report; /* nullable; called for every tensor, in the order of the file */
    void *report_user;
} rwkv_quantize_options;

/* Quantize the model in `in`, of any readable kind, into the GGUF `out`, which is written whole or
 * not at all; a few tensors' worth of memory at most is used. Where no rule says otherwise:
 *
 *   vectors, norms, mixes     F32
 *   low-rank pairs            F16
 *   embedding                 options->dtype, but at least Q4_K
 *   head                      Q6_K, or Q8_0 when that is asked for
 *   all other matrices        options->dtype
 *
 * Where rows are no multiple of 256 the nearest type with blocks of 32 is taken (IQ4_NL for Q2_K,
 * Q3_K and IQ4_XS, Q5_0 for Q4_K, Q5_1 for Q5_K, Q8_0 for Q6_K), and F16 where they are no multiple
 * of 32. A rule is followed or fails (RWKV_ERROR_ARGUMENT), as does one that matches no matrix.
 * Numbers that are not finite, or that the type cannot hold, fail with RWKV_ERROR_UNSUPPORTED and
 * the tensor's name. */
RWKV_API rwkv_status rwkv_quantize(const char *in, const char *out,
                                   const rwkv_quantize_options *options, rwkv_error *err);

#ifdef __cplusplus
}
#endif

#endif
