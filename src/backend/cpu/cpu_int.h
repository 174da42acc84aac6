/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of backend/cpu share. */
#ifndef RW_BACKEND_CPU_INT_H
#define RW_BACKEND_CPU_INT_H

#include "backend/backend.h"
#include "backend/backward.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "tensor/dtype.h"

/* What one thread works on at a time when there are many tokens. A panel of unpacked weights fits
 * the second-level cache with the sums of all its outputs, a piece of some token's inputs the
 * first. Columns are a multiple of the largest block of a type. */
#define RW_CPU_PANEL_ROWS 64
#define RW_CPU_PANEL_COLS 1024
#define RW_CPU_TOKENS 192
#define RW_CPU_LANES 16 /* sums of one output between two panels (kernels.h, matmul) */

/* Memory of the operations of backward.h. */
struct rw_cpu_backward {
    float *thread; /* [threads, thread_floats] */
    size_t thread_floats;
    float *rows;        /* [slice, channels]: derivatives by norms, a slice of tokens at a time */
    float *stats;       /* [slice, 2]: of each of its tokens */
    float *packed;      /* operands of products */
    size_t packed_rows; /* rows or columns of one of them, at most */
};

struct rw_backend_cpu {
    struct rw_backend base;
    struct rw_kernels kernels;
    struct rw_pool *pool;
    float *scratch; /* [threads, scratch_floats] */
    size_t scratch_floats;
    size_t tile_floats; /* of them, for the tile of outputs; a panel of weights and sums follow */
    uint16_t *rounded;  /* [rounded_size]: inputs of products in BF16 */
    size_t rounded_size;
    struct rw_dot_input dot; /* [dot_size]: inputs of products in integers */
    size_t dot_size;
    struct rw_live live; /* inputs of one product that are not zero */
    struct rw_cpu_backward backward;
};

static inline struct rw_backend_cpu *rw_cpu(struct rw_backend *be)
{
    return (struct rw_backend_cpu *)be;
}

/* First byte of row r, wherever it is stored; not of the packed ones. */
static inline const uint8_t *rw_cpu_row(const struct rw_weight *w, size_t r)
{
    const uint8_t *data = w->data;
    return data + r * (w->input_major ? rw_dtype(w->dtype)->bytes : w->stride);
}

void rw_cpu_matmul(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                   size_t n_tokens);

/* Round the inputs of leading products for multiplying in BF16 where that is to be: rounded[i]
 * becomes the input of product i, or NULL. Returns for how many products there was room; always for
 * one. */
size_t rw_cpu_round_bf16(struct rw_backend_cpu *cpu, const uint16_t **rounded,
                         const struct rw_matmul *ops, size_t n_ops, size_t tokens);
/* y [tokens, ldy] = rows [row, row + rows) of w times x [tokens, K]; sums [tokens, rows, 16]. */
void rw_cpu_multiply_bf16(const struct rw_backend_cpu *cpu, float *y, const uint16_t *x,
                          const struct rw_weight *w, float *sums, size_t row, size_t rows,
                          size_t tokens, size_t ldy);

/* The same for multiplying in integers; a code of NULL: not so. Multiplying takes
 * RW_CPU_PANEL_ROWS × RW_CPU_PANEL_COLS floats of scratch. */
size_t rw_cpu_round_int8(struct rw_backend_cpu *cpu, struct rw_dot_input *rounded,
                         const struct rw_matmul *ops, size_t n_ops, size_t tokens);
void rw_cpu_multiply_int8(const struct rw_backend_cpu *cpu, float *y, const struct rw_dot_input *x,
                          const struct rw_weight *w, float *scratch, size_t row, size_t rows,
                          size_t tokens, size_t ldy);

/* Rows of a weight for the kernels of products in integers, from row r (a multiple of RW_PANEL_ROWS
 * where it is packed) and column `col` on. */
struct rw_cpu_rows {
    const uint8_t *data;
    size_t stride;
};
struct rw_cpu_rows rw_cpu_dot_rows(const struct rw_weight *w, size_t row, size_t col);

/* dot.c: copies of weights, as backend.h has them. */
size_t rw_cpu_packed_bytes(const struct rw_backend *be, const struct rw_weight *w);
void rw_cpu_pack(struct rw_backend *be, void *to, const struct rw_weight *w);

/* Whether products with this weight are in BF16. */
bool rw_cpu_takes_bf16(const struct rw_backend_cpu *cpu, const struct rw_weight *w);

/* live.c: copies by channel, as backend.h has them. */
size_t rw_cpu_channels_bytes(const struct rw_backend *be, const struct rw_weight *w);
bool rw_cpu_channels_pay(const struct rw_backend *be, const struct rw_weight *w, uint64_t inputs,
                         uint64_t zeros);
bool rw_cpu_channels(struct rw_backend *be, void *to, const struct rw_weight *w);
/* Count the zeros among the inputs of a product of one token; true: multiply the `live` ones by
 * rw_cpu_multiply_live, which makes RW_TILE_ROWS outputs from `row` on, a multiple of that. */
bool rw_cpu_find_live(struct rw_backend_cpu *cpu, struct rw_live *live, const struct rw_matmul *op,
                      const struct rw_dot_input *dot);
void rw_cpu_multiply_live(const struct rw_backend_cpu *cpu, float *y, const struct rw_live *live,
                          const struct rw_matmul *op, size_t row);

void rw_cpu_wkv7(struct rw_backend *be, const struct rw_wkv7 *op, const struct rw_batch *batch);
double rw_cpu_measure(struct rw_backend *be, rwkv_limit limit, const void *memory, size_t n);

/* --- training --------------------------------------------------------------------------------- */

extern const struct rw_backward_ops rw_cpu_backward_ops;
void rw_cpu_backward_free(struct rw_backend_cpu *cpu);

static inline float *rw_cpu_thread_scratch(const struct rw_backend_cpu *cpu, size_t thread)
{
    return cpu->backward.thread + thread * cpu->backward.thread_floats;
}

/* Room for a piece of both operands of a product. */
static inline size_t rw_cpu_packed_floats(size_t packed_rows)
{
    return 2 * packed_rows * RW_PRODUCT_DEPTH;
}

#define RW_CPU_NORM_SLICE 256 /* tokens */

/* Floats of scratch of a thread that the operations of a file want. */
size_t rw_cpu_wkv7_scratch(size_t tokens, size_t head_size);

void rw_cpu_train_matmul(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                         size_t n_tokens, enum rw_precision precision);
void rw_cpu_matmul_dx(struct rw_backend *be, const struct rw_matmul_dx *ops, size_t n_ops,
                      size_t n_tokens, enum rw_precision precision);
void rw_cpu_matmul_dw(struct rw_backend *be, const struct rw_matmul_dw *ops, size_t n_ops,
                      size_t n_tokens, enum rw_precision precision);
void rw_cpu_norm_mix_backward(struct rw_backend *be, const struct rw_norm_mix_backward *op,
                              const struct rw_grad_batch *batch);
void rw_cpu_layer_norm_backward(struct rw_backend *be, float *dx, float *dweight, float *dbias,
                                const float *dy, const float *x, const float *weight, float eps,
                                size_t n_tokens, size_t channels);
void rw_cpu_wkv7_backward(struct rw_backend *be, const struct rw_wkv7_backward *op,
                          const struct rw_grad_batch *batch);

/* y [n] = what a product's epilogue makes of it. */
void rw_cpu_finish(const struct rw_kernels *k, enum rw_epilogue epilogue, float *y, size_t n);

#endif
