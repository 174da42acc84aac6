/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other half of the waist: what training asks of the machine. Every operation of backend.h that
 * has parameters or activations comes back here, with what it needs saved from the forward pass;
 * and what an optimizer does with the sums.
 *
 * Gradients of parameters are added to, those of activations are written unless a field says
 * otherwise. Sums over tokens go through the batch in order, one fused multiply-add after the other
 * from what is there, so that a batch in one piece and in several gives the same bits, as does any
 * number of threads.
 *
 * Nothing written overlaps anything else unless said.
 *
 * Legend: as backend.h; d… is the derivative of the loss by … . All arrays are f32, row-major, in
 * the memory of the backend; weights lie [R, K] without gaps.
 */
#ifndef RW_BACKEND_BACKWARD_H
#define RW_BACKEND_BACKWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"

/* One sequence's share of a batch: as struct rw_span, with the state it began with and the
 * derivative by states. */
struct rw_grad_span {
    size_t first, count;
    const float *initial; /* the state before the first token, of the whole model */
    float *dstate;        /* in: by the state left behind; out: by `initial`. NULL: zero in, and not
                             wanted */
};

struct rw_grad_batch {
    size_t tokens;
    size_t n_spans;
    const struct rw_grad_span *spans;
};

/* dx [T, K] = dy [T, R] · w [R, K]; `add`: += */
struct rw_matmul_dx {
    float *dx;
    const float *dy, *w;
    size_t rows, cols; /* R, K */
    bool add;
};

/* dw [R, K] += dyᵀ [R, T] · x [T, K] */
struct rw_matmul_dw {
    float *dw;
    const float *dy, *x;
    size_t rows, cols;
};

/* How products are computed: in f32, or of operands rounded to bf16 with sums in f32. */
enum rw_precision { RW_PRECISION_F32, RW_PRECISION_BF16 };

/* Back through struct rw_norm_mix. dx is added to: the residual stream has its own part. */
struct rw_norm_mix_backward {
    float *dx;                /* [T, C] */
    float *dweight, *dbias;   /* [C] */
    float *const *dmu;        /* n_mix × [C] */
    const float *const *dout; /* n_mix × [T, C] */
    const float *x, *norm;    /* [T, C]: what went in, and its LayerNorm */
    const float *weight;      /* [C] */
    const float *const *mu;   /* n_mix × [C] */
    size_t n_mix;
    size_t shift; /* floats into the states */
    float eps;
    size_t channels;
};

#define RW_WKV7_TERMS 5 /* [T, C] of scratch that the operation below wants */

/* Back through struct rw_wkv7: the output's norm, bonus and gate, the recurrence, and the inputs'
 * decay, rate, key and value. Saved are r, w, k, v, a, g as they were *before* the forward
 * operation changed them; everything in between is computed again, head by head, with the state of
 * every so many tokens kept meanwhile. Formulas: Peng et al. 2025; docs/training.md. */
struct rw_wkv7_backward {
    float *dr, *dw, *dk, *dv, *da, *dg; /* [T, C]: by those inputs */
    float *dv_first;                    /* [T, C], added to; NULL in block 0 */
    float *dv_gate;                     /* [T, C]; NULL in block 0 */
    float *dw0, *da0, *dv0, *dk_k, *dk_a, *dr_k, *dnorm_weight, *dnorm_bias; /* [C] */
    float *terms[RW_WKV7_TERMS];                                             /* scratch */
    const float *dout;                                                       /* [T, C] */
    const float *r, *w, *k, *v, *a, *g;
    const float *v_first, *v_gate; /* NULL in block 0 */
    const float *w0, *a0, *v0, *k_k, *k_a, *r_k, *norm_weight, *norm_bias;
    float eps;
    size_t state; /* floats into the states: S [H, N, N] */
    size_t heads, head_size;
};

/* Loss of each token and the derivative by the logits, in their place:
 *   loss[t] = −log softmax(logits[t])[target],
 *   dlogits[t] = scale · (softmax − onehot), and at the largest logit (the first of equals) plus
 *   scale · l2wrap · that logit.
 * A target below 0: no loss, zeros. */
struct rw_cross_entropy {
    float *logits;          /* [T, V] → dlogits */
    double *loss;           /* [T], host memory */
    const int32_t *targets; /* [T], host memory */
    size_t tokens, vocab;
    float scale;  /* 1 / targets of the whole step */
    float l2wrap; /* 1e-4, or 0 */
};

/* One step of AdamW with decoupled decay on n weights; g is multiplied by `scale` (clipping) first:
 *   m = β₁ m + (1 − β₁) g;  v = β₂ v + (1 − β₂) g²;
 *   p −= lr · (m / c₁ / (√(v / c₂) + ε) + decay · p)        with cᵢ = 1 − βᵢᵏ of step k. */
struct rw_adamw {
    float *p, *m, *v;
    const float *g;
    size_t n;
    float scale, lr, eps, decay;
    double beta1, beta2, c1, c2;
};

struct rw_backward_ops {
    /* Prepare for batches of at most `tokens` rows, of sequences as long as that, norms of at most
     * `channels`, matrices of any size, and heads of `head_size`. Scratch is the backend's, apart
     * from what the forward pass prepared; its size: */
    size_t (*scratch_bytes)(const struct rw_backend *be, size_t tokens, size_t channels,
                            size_t head_size);
    rwkv_status (*prepare)(struct rw_backend *be, size_t tokens, size_t channels, size_t head_size,
                           rwkv_error *err);

    /* Products of the forward pass, as struct rw_backend_ops has them, of F32 weights [R, K]. */
    void (*matmul)(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                   size_t n_tokens, enum rw_precision precision);
    /* Independent products with one number of tokens. */
    void (*matmul_dx)(struct rw_backend *be, const struct rw_matmul_dx *ops, size_t n_ops,
                      size_t n_tokens, enum rw_precision precision);
    void (*matmul_dw)(struct rw_backend *be, const struct rw_matmul_dw *ops, size_t n_ops,
                      size_t n_tokens, enum rw_precision precision);
    /* dy [n] becomes the derivative by the product before the epilogue, given the value y after it:
     * RW_TANH dy(1 − y²), RW_SIGMOID dy y(1 − y), RW_RELU2 2 dy √y. */
    void (*epilogue)(struct rw_backend *be, enum rw_epilogue epilogue, float *dy, const float *y,
                     size_t n);
    void (*norm_mix)(struct rw_backend *be, const struct rw_norm_mix_backward *op,
                     const struct rw_grad_batch *batch);
    void (*wkv7)(struct rw_backend *be, const struct rw_wkv7_backward *op,
                 const struct rw_grad_batch *batch);
    /* dx [T, C] of y = LN(x); may be dy. */
    void (*layer_norm)(struct rw_backend *be, float *dx, float *dweight, float *dbias,
                       const float *dy, const float *x, const float *weight, float eps,
                       size_t n_tokens, size_t channels);
    /* Row tokens[t] of dtable [V, C] += dx[t]. */
    void (*embed)(struct rw_backend *be, float *dtable, const float *dx, const int32_t *tokens,
                  size_t n_tokens, size_t channels);
    void (*cross_entropy)(struct rw_backend *be, const struct rw_cross_entropy *op);

    /* y = x, over n. */
    void (*copy)(struct rw_backend *be, float *y, const float *x, size_t n);
    /* y += x, over n. */
    void (*add)(struct rw_backend *be, float *y, const float *x, size_t n);
    /* x = 0, over n. */
    void (*zero)(struct rw_backend *be, float *x, size_t n);
    /* Σ x² in double precision, in one order; NaN and infinity show. */
    double (*sum_squares)(struct rw_backend *be, const float *x, size_t n);
    void (*adamw)(struct rw_backend *be, const struct rw_adamw *op);
};

#endif
