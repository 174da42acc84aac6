/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The waist: what a model asks of the machine. Operations of RWKV's size over a packed batch,
 * coarse enough that fusion hides inside one. `backend/cpu` implements them with a thread pool and
 * the kernels; another backend is another filling of struct rw_backend_ops.
 *
 * Memory is the backend's: pointers to activations, states and weights given to operations come
 * from alloc or from a weight the backend can read in place, and only upload and download look
 * inside. Operations on prepared buffers return nothing: sizes were checked when the model was
 * bound.
 *
 * Legend: T tokens of the packed batch, C channels, H heads, N head size, K inputs, R outputs.
 * Activations are f32, row-major, one row a token.
 */
#ifndef RW_BACKEND_BACKEND_H
#define RW_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "rwkv.h"
#include "rwkv_bench.h"

#define RW_MAX_HEAD_SIZE 512 /* the largest N a backend needs to take */

/* A second copy of a weight, by input channel, so that what zeros would multiply is not read; and
 * how often that would serve. */
struct rw_channels {
    void *tiles;            /* as `channels` made them, or NULL: not yet */
    uint64_t inputs, zeros; /* counted by matmul in steps of one token: inputs of the weight as they
                               are multiplied (rounded, where they are), and zeros among them */
};

/* A matrix of R outputs and K inputs, in the memory of the backend. */
struct rw_weight {
    const void *data;
    rwkv_dtype dtype;
    bool input_major; /* stored [K, R], as .pth files hold the low-rank pairs; else [R, K] */
    size_t rows;      /* R */
    size_t cols;      /* K */
    size_t stride;    /* bytes from one stored row to the next */
    struct rw_channels *channels; /* NULL: nothing is counted, no copy used */
    const void *packed;           /* a copy as `pack` made it, read in its place; or NULL */
};

/* What happens to a product before it is stored. */
enum rw_epilogue { RW_STORE, RW_ADD, RW_TANH, RW_SIGMOID, RW_RELU2 };

/* y [T, R] = epilogue(x [T, K] · wᵀ). RW_ADD adds to what y holds. */
struct rw_matmul {
    float *y;
    const float *x;
    const struct rw_weight *w;
    enum rw_epilogue epilogue;
};

/* One sequence's share of a packed batch: rows [first, first + count) of every activation, and the
 * state that these tokens continue and leave behind. */
struct rw_span {
    size_t first, count;
    float *state; /* of the whole model; operations are told the offset of their part */
};

struct rw_batch {
    size_t tokens; /* T: the sum of the counts */
    size_t n_spans;
    const struct rw_span *spans;
};

/* LayerNorm followed by the token shift. norm [T, C] = LN(x); out[i] [T, C] = norm + (prev −
 * norm)∘mu[i] with prev the row before, or the shift state [C] at state + shift; which becomes the
 * last row. */
struct rw_norm_mix {
    float *norm;
    float *const *out;
    const float *x;
    const float *weight, *bias;
    const float *const *mu;
    size_t n_mix;
    size_t shift; /* floats into the state */
    float eps;
    size_t channels;
};

/* The recurrence with what goes before and after it; formulas at kernels.h (wkv7_inputs, wkv7,
 * wkv7_output). All [T, C]. w, a, k, v are changed; b and y are scratch; out may be y. */
struct rw_wkv7 {
    float *out, *y;
    const float *r, *g;
    float *w, *k, *v, *a, *b;
    const float *v_first, *v_gate;              /* NULL in block 0 */
    const float *w0, *a0, *v0, *k_k, *k_a;      /* [C]; v0 NULL in block 0 */
    const float *r_k, *norm_weight, *norm_bias; /* [C] */
    float eps;
    size_t state; /* floats into the state: S [H, N, N] */
    size_t heads, head_size;
};

struct rw_backend;
struct rw_backward_ops;

/* How a matrix is kept. */
struct rw_placing {
    rwkv_dtype numbers; /* F32, F16 or BF16 */
    bool i8;            /* as 8-bit integers, if the file has it in floats */
    bool streamed;      /* in host memory, and on the device only while it is used */
};

struct rw_backend_ops {
    const char *name; /* "cpu" */
    bool host_memory; /* its memory is the host's, and may be looked into */
    /* With all that was placed, and what alloc gave and nobody released. */
    void (*free)(struct rw_backend *be);
    size_t (*scratch_bytes)(const struct rw_backend *be, size_t tokens, size_t max_cols);
    /* Prepare for batches of at most `tokens` rows and matrices of at most `max_cols` inputs. */
    rwkv_status (*prepare)(struct rw_backend *be, size_t tokens, size_t max_cols, rwkv_error *err);

    /* Whether all that was begun before has been done; NULL: what fails, fails at once. Asked after
     * outputs were downloaded, so that nothing waits for it. */
    rwkv_status (*check)(struct rw_backend *be, rwkv_error *err);

    /* Copy a matrix from where the file is mapped into memory of the backend, which it keeps to its
     * end: `w` then describes the copy. NULL: matrices are read where they lie. */
    rwkv_status (*place)(struct rw_backend *be, struct rw_weight *w,
                         const struct rw_placing *placing, rwkv_error *err);
    /* With `place`: the bytes that it would take, whatever w->data is; how much of the device's
     * memory nobody uses now; and which heads the recurrence is there for. */
    uint64_t (*placed_bytes)(const struct rw_backend *be, const struct rw_weight *w,
                             const struct rw_placing *placing);
    uint64_t (*free_bytes)(struct rw_backend *be);
    bool (*has_head_size)(const struct rw_backend *be, size_t head_size);

    /* From any thread: */
    float *(*alloc)(struct rw_backend *be, size_t floats); /* zeroed; NULL: no memory */
    void (*release)(struct rw_backend *be, float *p);
    void (*clear)(struct rw_backend *be, float *p, size_t floats);
    void (*copy)(struct rw_backend *be, float *to, const float *from, size_t floats);
    void (*upload)(struct rw_backend *be, float *to, const float *from, size_t floats);
    void (*download)(struct rw_backend *be, float *to, const float *from, size_t floats);
    /* Rows that lie together, each to a place of its own. */
    void (*download_rows)(struct rw_backend *be, float *const *to, const float *from, size_t rows,
                          size_t floats);

    /* x [T, C] = row tokens[t] of `table`, in either orientation. Table and tokens are host memory,
     * tokens in range. */
    void (*embed)(struct rw_backend *be, float *x, const struct rw_weight *table,
                  const int32_t *tokens, size_t n_tokens);
    /* y [T, C] = LN(x); y may be x. */
    void (*layer_norm)(struct rw_backend *be, float *y, const float *x, const float *weight,
                       const float *bias, float eps, size_t n_tokens, size_t channels);
    void (*norm_mix)(struct rw_backend *be, const struct rw_norm_mix *op,
                     const struct rw_batch *batch);
    /* Independent products with one number of tokens; no output is another's input. */
    void (*matmul)(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                   size_t n_tokens);
    /* Bytes of a weight's copy in the order in which the backend reads it fastest; 0: it has none.
     */
    size_t (*packed_bytes)(const struct rw_backend *be, const struct rw_weight *w);
    /* Make it, at a multiple of 64 bytes. */
    void (*pack)(struct rw_backend *be, void *to, const struct rw_weight *w);
    /* Bytes of a weight's copy by channel; 0: of no use for it. */
    size_t (*channels_bytes)(const struct rw_backend *be, const struct rw_weight *w);
    /* Whether products read less by channel, with so many zeros among so many inputs. */
    bool (*channels_pay)(const struct rw_backend *be, const struct rw_weight *w, uint64_t inputs,
                         uint64_t zeros);
    /* Make it. False: it cannot be used, as not all numbers are finite. */
    bool (*channels)(struct rw_backend *be, void *to, const struct rw_weight *w);
    void (*wkv7)(struct rw_backend *be, const struct rw_wkv7 *op, const struct rw_batch *batch);

    /* Work on host memory that is no operation of a model, shared among the host's threads as
     * rw_pool_each does. NULL: only the caller works. */
    void (*each)(struct rw_backend *be, rw_pool_piece_fn fn, void *ctx, size_t pieces);

    const struct rw_backward_ops *backward; /* backward.h; NULL: this backend cannot train */

    /* What the machine can do a second, now; 0: it has no such operation. `memory` [n] is what is
     * read. */
    double (*measure)(struct rw_backend *be, rwkv_limit limit, const void *memory, size_t n);
};

struct rw_backend {
    const struct rw_backend_ops *ops;
    const char *isa; /* "ref", "avx2", "avx512bf16", …: rw_cpu_name */
    size_t threads;
};

/* fn once for each piece, by all threads of the host that there are. */
static inline void rw_backend_each(struct rw_backend *be, rw_pool_piece_fn fn, void *ctx,
                                   size_t pieces)
{
    if (be->ops->each) {
        be->ops->each(be, fn, ctx, pieces);
        return;
    }
    for (size_t piece = 0; piece < pieces; piece++)
        fn(ctx, piece, 0);
}

/* The CPU with `threads` threads (0: as many as this process may use) and the kernels for `cpu`, a
 * mask of base/cpu.h. */
rwkv_status rw_backend_cpu_new(struct rw_backend **out, size_t threads, unsigned cpu,
                               rwkv_error *err);

#endif
