/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels' launches, as the C side calls them. Pointers are the device's unless they say
 * otherwise; launches return at once, in the order of the stream.
 *
 * Same request, same bytes: each sum has one order, given by the weight's shape and the numbers it
 * is multiplied in, however many tokens share the launch. A product sums pieces of RW_CUDA_PIECE
 * inputs, each in the order of the matrix instructions, and then the pieces one after the other.
 */
#ifndef RW_BACKEND_CUDA_CUDA_KERNELS_H
#define RW_BACKEND_CUDA_CUDA_KERNELS_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RW_CUDA_PIECE 256  /* inputs that are summed before others */
#define RW_CUDA_ROWS 16    /* outputs to a multiple of which weights are padded */
#define RW_CUDA_DEPTH 32   /* and inputs */
#define RW_CUDA_PRODUCTS 8 /* in one launch, at most */

/* How a weight's numbers lie on the device: rows of `cols` numbers, padded with zeros. */
enum rw_cuda_layout {
    RW_CUDA_F32,
    RW_CUDA_F16,
    RW_CUDA_BF16,
    RW_CUDA_Q8_0 /* rows of bytes, then for each row a scale in f16 for each 32 of them */
};

/* y [T, R] = epilogue(x [T, K] · wᵀ); epilogue as enum rw_epilogue. */
struct rw_cuda_product {
    float *y;
    const float *x;
    const void *w, *scales;
    uint32_t rows, cols; /* R, K */
    uint32_t depth;      /* K padded */
    uint32_t layout, epilogue;
};

struct rw_cuda_products {
    struct rw_cuda_product items[RW_CUDA_PRODUCTS];
    uint32_t n;
    uint32_t tokens;
};

/* All in the same numbers: weights in f32 are multiplied in f32, others in f16 or bf16. */
enum rw_cuda_numbers { RW_CUDA_IN_F32, RW_CUDA_IN_F16, RW_CUDA_IN_BF16 };
void rw_cuda_launch_products(const struct rw_cuda_products *products, enum rw_cuda_numbers numbers,
                             cudaStream_t stream);

void rw_cuda_launch_layer_norm(float *y, const float *x, const float *weight, const float *bias,
                               float eps, uint32_t tokens, uint32_t channels, cudaStream_t stream);

/* A sequence's tokens, and its state. */
struct rw_cuda_span {
    uint32_t first, count;
    float *state;
};

/* The part of rw_norm_mix after the norm. spans [n_spans], and for each token its span. */
#define RW_CUDA_MIXES 6
struct rw_cuda_mix {
    const float *norm;
    float *out[RW_CUDA_MIXES];
    const float *mu[RW_CUDA_MIXES];
    const struct rw_cuda_span *spans;
    const uint32_t *span_of; /* [T] */
    size_t shift;
    uint32_t n_mix, tokens, n_spans, channels;
};
void rw_cuda_launch_mix(const struct rw_cuda_mix *mix, cudaStream_t stream);

/* As rw_wkv7; only out is written, and the states. Heads of 16, 32, 64 or 128. */
struct rw_cuda_wkv7 {
    float *out;
    const float *r, *g, *w, *k, *v, *a, *v_first, *v_gate;
    const float *w0, *a0, *v0, *k_k, *k_a, *r_k, *norm_weight, *norm_bias;
    const struct rw_cuda_span *spans;
    size_t state;
    float eps;
    uint32_t n_spans, heads, head_size;
};
void rw_cuda_launch_wkv7(const struct rw_cuda_wkv7 *wkv7, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
