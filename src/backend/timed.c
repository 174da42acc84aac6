/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/timed.h"

#include <string.h>

#include "backend/backward.h"
#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"

struct timed {
    struct rw_backend base;
    struct rw_backend_ops ops;
    struct rw_backend *inner;
    double seconds[RWKV_TRAIN_WORKS];
};

static struct rw_backend *inner_of(const struct rw_backend *be)
{
    return ((const struct timed *)be)->inner;
}

/* Do one operation of the inner backend and count its time as `work`. */
#define TIMED(be, work, call)                                              \
    do {                                                                   \
        double start = rw_env_seconds();                                   \
        call;                                                              \
        ((struct timed *)(be))->seconds[work] += rw_env_seconds() - start; \
    } while (0)

/* --- memory and weights, handed on ------------------------------------------------------------ */

static void free_both(struct rw_backend *be)
{
    struct rw_backend *inner = inner_of(be);
    inner->ops->free(inner);
    rw_free(be);
}

static size_t scratch_bytes(const struct rw_backend *be, size_t tokens, size_t max_cols)
{
    return inner_of(be)->ops->scratch_bytes(inner_of(be), tokens, max_cols);
}

static rwkv_status prepare(struct rw_backend *be, size_t tokens, size_t max_cols, rwkv_error *err)
{
    return inner_of(be)->ops->prepare(inner_of(be), tokens, max_cols, err);
}

static float *alloc(struct rw_backend *be, size_t floats)
{
    return inner_of(be)->ops->alloc(inner_of(be), floats);
}

static void release(struct rw_backend *be, float *p)
{
    inner_of(be)->ops->release(inner_of(be), p);
}

static void clear(struct rw_backend *be, float *p, size_t floats)
{
    inner_of(be)->ops->clear(inner_of(be), p, floats);
}

static void copy_floats(struct rw_backend *be, float *to, const float *from, size_t floats)
{
    inner_of(be)->ops->copy(inner_of(be), to, from, floats);
}

static void upload(struct rw_backend *be, float *to, const float *from, size_t floats)
{
    inner_of(be)->ops->upload(inner_of(be), to, from, floats);
}

static void download(struct rw_backend *be, float *to, const float *from, size_t floats)
{
    inner_of(be)->ops->download(inner_of(be), to, from, floats);
}

static size_t packed_bytes(const struct rw_backend *be, const struct rw_weight *w)
{
    return inner_of(be)->ops->packed_bytes(inner_of(be), w);
}

static void pack(struct rw_backend *be, void *to, const struct rw_weight *w)
{
    inner_of(be)->ops->pack(inner_of(be), to, w);
}

static size_t channels_bytes(const struct rw_backend *be, const struct rw_weight *w)
{
    return inner_of(be)->ops->channels_bytes(inner_of(be), w);
}

static bool channels_pay(const struct rw_backend *be, const struct rw_weight *w, uint64_t inputs,
                         uint64_t zeros)
{
    return inner_of(be)->ops->channels_pay(inner_of(be), w, inputs, zeros);
}

static bool channels(struct rw_backend *be, void *to, const struct rw_weight *w)
{
    return inner_of(be)->ops->channels(inner_of(be), to, w);
}

static void download_rows(struct rw_backend *be, float *const *to, const float *from, size_t rows,
                          size_t floats)
{
    inner_of(be)->ops->download_rows(inner_of(be), to, from, rows, floats);
}

static void each(struct rw_backend *be, rw_pool_piece_fn fn, void *ctx, size_t pieces)
{
    inner_of(be)->ops->each(inner_of(be), fn, ctx, pieces);
}

static double measure(struct rw_backend *be, rwkv_limit limit, const void *memory, size_t n)
{
    return inner_of(be)->ops->measure(inner_of(be), limit, memory, n);
}

/* --- forward ---------------------------------------------------------------------------------- */

static void embed(struct rw_backend *be, float *x, const struct rw_weight *table,
                  const int32_t *tokens, size_t n_tokens)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_ELEMENTS, inner->ops->embed(inner, x, table, tokens, n_tokens));
}

static void layer_norm(struct rw_backend *be, float *y, const float *x, const float *weight,
                       const float *bias, float eps, size_t n_tokens, size_t n)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_NORMS,
          inner->ops->layer_norm(inner, y, x, weight, bias, eps, n_tokens, n));
}

static void norm_mix(struct rw_backend *be, const struct rw_norm_mix *op,
                     const struct rw_batch *batch)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_NORMS, inner->ops->norm_mix(inner, op, batch));
}

static void matmul(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                   size_t n_tokens)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_PRODUCTS, inner->ops->matmul(inner, ops, n_ops, n_tokens));
}

static void wkv7(struct rw_backend *be, const struct rw_wkv7 *op, const struct rw_batch *batch)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_RECURRENCE, inner->ops->wkv7(inner, op, batch));
}

/* --- backward --------------------------------------------------------------------------------- */

static size_t backward_scratch_bytes(const struct rw_backend *be, size_t tokens, size_t max_cols,
                                     size_t head_size)
{
    const struct rw_backend *inner = inner_of(be);
    return inner->ops->backward->scratch_bytes(inner, tokens, max_cols, head_size);
}

static rwkv_status backward_prepare(struct rw_backend *be, size_t tokens, size_t max_cols,
                                    size_t head_size, rwkv_error *err)
{
    struct rw_backend *inner = inner_of(be);
    return inner->ops->backward->prepare(inner, tokens, max_cols, head_size, err);
}

static void train_matmul(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                         size_t n_tokens, enum rw_precision precision)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_PRODUCTS,
          inner->ops->backward->matmul(inner, ops, n_ops, n_tokens, precision));
}

static void matmul_dx(struct rw_backend *be, const struct rw_matmul_dx *ops, size_t n_ops,
                      size_t n_tokens, enum rw_precision precision)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_PRODUCTS_DX,
          inner->ops->backward->matmul_dx(inner, ops, n_ops, n_tokens, precision));
}

static void matmul_dw(struct rw_backend *be, const struct rw_matmul_dw *ops, size_t n_ops,
                      size_t n_tokens, enum rw_precision precision)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_PRODUCTS_DW,
          inner->ops->backward->matmul_dw(inner, ops, n_ops, n_tokens, precision));
}

static void epilogue(struct rw_backend *be, enum rw_epilogue which, float *dy, const float *y,
                     size_t n)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_ELEMENTS, inner->ops->backward->epilogue(inner, which, dy, y, n));
}

static void norm_mix_backward(struct rw_backend *be, const struct rw_norm_mix_backward *op,
                              const struct rw_grad_batch *batch)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_NORMS, inner->ops->backward->norm_mix(inner, op, batch));
}

static void wkv7_backward(struct rw_backend *be, const struct rw_wkv7_backward *op,
                          const struct rw_grad_batch *batch)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_RECURRENCE_BACK, inner->ops->backward->wkv7(inner, op, batch));
}

static void layer_norm_backward(struct rw_backend *be, float *dx, float *dweight, float *dbias,
                                const float *dy, const float *x, const float *weight, float eps,
                                size_t n_tokens, size_t n)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_NORMS,
          inner->ops->backward->layer_norm(inner, dx, dweight, dbias, dy, x, weight, eps, n_tokens,
                                           n));
}

static void embed_backward(struct rw_backend *be, float *dtable, const float *dx,
                           const int32_t *tokens, size_t n_tokens, size_t n)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_ELEMENTS,
          inner->ops->backward->embed(inner, dtable, dx, tokens, n_tokens, n));
}

static void cross_entropy(struct rw_backend *be, const struct rw_cross_entropy *op)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_LOSS, inner->ops->backward->cross_entropy(inner, op));
}

static void copy(struct rw_backend *be, float *y, const float *x, size_t n)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_ELEMENTS, inner->ops->backward->copy(inner, y, x, n));
}

static void add(struct rw_backend *be, float *y, const float *x, size_t n)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_ELEMENTS, inner->ops->backward->add(inner, y, x, n));
}

static void zero(struct rw_backend *be, float *x, size_t n)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_ELEMENTS, inner->ops->backward->zero(inner, x, n));
}

static double sum_squares(struct rw_backend *be, const float *x, size_t n)
{
    struct rw_backend *inner = inner_of(be);
    double sum;
    TIMED(be, RWKV_TRAIN_OPTIMIZER, sum = inner->ops->backward->sum_squares(inner, x, n));
    return sum;
}

static void adamw(struct rw_backend *be, const struct rw_adamw *op)
{
    struct rw_backend *inner = inner_of(be);
    TIMED(be, RWKV_TRAIN_OPTIMIZER, inner->ops->backward->adamw(inner, op));
}

/* --- the backend ------------------------------------------------------------------------------ */

static const struct rw_backend_ops timed_ops = {.free = free_both,
                                                .scratch_bytes = scratch_bytes,
                                                .prepare = prepare,
                                                .alloc = alloc,
                                                .release = release,
                                                .clear = clear,
                                                .copy = copy_floats,
                                                .upload = upload,
                                                .download = download,
                                                .download_rows = download_rows,
                                                .embed = embed,
                                                .layer_norm = layer_norm,
                                                .norm_mix = norm_mix,
                                                .matmul = matmul,
                                                .packed_bytes = packed_bytes,
                                                .pack = pack,
                                                .channels_bytes = channels_bytes,
                                                .channels_pay = channels_pay,
                                                .channels = channels,
                                                .wkv7 = wkv7,
                                                .measure = measure};

static const struct rw_backward_ops timed_backward_ops = {.scratch_bytes = backward_scratch_bytes,
                                                          .prepare = backward_prepare,
                                                          .matmul = train_matmul,
                                                          .matmul_dx = matmul_dx,
                                                          .matmul_dw = matmul_dw,
                                                          .epilogue = epilogue,
                                                          .norm_mix = norm_mix_backward,
                                                          .wkv7 = wkv7_backward,
                                                          .layer_norm = layer_norm_backward,
                                                          .embed = embed_backward,
                                                          .cross_entropy = cross_entropy,
                                                          .copy = copy,
                                                          .add = add,
                                                          .zero = zero,
                                                          .sum_squares = sum_squares,
                                                          .adamw = adamw};

rwkv_status rw_backend_timed_new(struct rw_backend **out, struct rw_backend *inner, rwkv_error *err)
{
    struct timed *t = rw_calloc(1, sizeof *t);
    if (!t) {
        inner->ops->free(inner);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a backend");
    }
    t->inner = inner;
    t->ops = timed_ops;
    t->ops.name = inner->ops->name;
    t->ops.host_memory = inner->ops->host_memory;
    t->ops.each = inner->ops->each ? each : NULL;
    t->ops.backward = inner->ops->backward ? &timed_backward_ops : NULL;
    t->base = (struct rw_backend){&t->ops, inner->isa, inner->threads};
    *out = &t->base;
    return RWKV_OK;
}

const double *rw_backend_timed_seconds(const struct rw_backend *timed)
{
    return ((const struct timed *)timed)->seconds;
}

void rw_backend_timed_reset(struct rw_backend *timed)
{
    memset(((struct timed *)timed)->seconds, 0, sizeof(double[RWKV_TRAIN_WORKS]));
}
