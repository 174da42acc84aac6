/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training on the CPU: scratch, and the operations that go through arrays element by element or row
 * by row. Threads share elements, rows or, where a sum goes over tokens, channels; so no sum is
 * ever split, and the number of threads does not show in a bit.
 */
#include <string.h>

#include "backend/cpu/cpu_int.h"
#include "base/alloc.h"
#include "base/status.h"

#define ELEMENTS ((size_t)16384) /* of a piece of work */
#define CHANNELS ((size_t)64)
#define MAX_PACKED_ROWS ((size_t)3840) /* of an operand: 3.75 MiB */

/* --- scratch -----------------------------------------------------------------------------------
 */

/* A thread does one thing at a time: heads, or norms of rows. */
static size_t thread_floats(size_t tokens, size_t channels, size_t head_size)
{
    size_t most = RW_MAX(rw_cpu_wkv7_scratch(tokens, head_size), 2 * channels);
    return (most + 15) & ~(size_t)15;
}

/* All of the tokens, and of the widest matrix of a block as it usually is, but no more than the
 * caches hold; larger operands are taken in parts. */
static size_t packed_rows(size_t tokens, size_t channels)
{
    size_t most = RW_MIN(RW_MAX(tokens, 4 * channels), MAX_PACKED_ROWS);
    return (most + RW_PRODUCT_STEP - 1) / RW_PRODUCT_STEP * RW_PRODUCT_STEP;
}

static size_t slice_floats(size_t tokens, size_t channels)
{
    return RW_MIN(tokens, (size_t)RW_CPU_NORM_SLICE) * channels;
}

static size_t scratch_bytes(const struct rw_backend *be, size_t tokens, size_t channels,
                            size_t head_size)
{
    return (be->threads * thread_floats(tokens, channels, head_size) +
            slice_floats(tokens, channels) + (size_t)RW_CPU_NORM_SLICE * 2 +
            rw_cpu_packed_floats(packed_rows(tokens, channels))) *
           sizeof(float);
}

void rw_cpu_backward_free(struct rw_backend_cpu *cpu)
{
    rw_free(cpu->backward.thread);
    rw_free(cpu->backward.rows);
    rw_free(cpu->backward.stats);
    rw_free(cpu->backward.packed);
}

static rwkv_status prepare(struct rw_backend *be, size_t tokens, size_t channels, size_t head_size,
                           rwkv_error *err)
{
    struct rw_backend_cpu *cpu = rw_cpu(be);
    struct rw_cpu_backward *b = &cpu->backward;
    rw_cpu_backward_free(cpu);
    b->thread_floats = thread_floats(tokens, channels, head_size);
    b->thread = rw_alloc_aligned(be->threads * b->thread_floats, sizeof(float));
    b->rows = rw_alloc_aligned(slice_floats(tokens, channels), sizeof(float));
    b->stats = rw_alloc_aligned((size_t)RW_CPU_NORM_SLICE * 2, sizeof(float));
    b->packed_rows = packed_rows(tokens, channels);
    b->packed = rw_alloc_aligned(rw_cpu_packed_floats(b->packed_rows), sizeof(float));
    if (!b->thread || !b->rows || !b->stats || !b->packed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu bytes of scratch for training",
                       scratch_bytes(be, tokens, channels, head_size));
    return RWKV_OK;
}

/* --- element by element ------------------------------------------------------------------------
 */

struct elements {
    const struct rw_kernels *kernels;
    float *y;
    const float *x;
    size_t n;
    enum rw_epilogue epilogue;
    const struct rw_adamw *adamw;
    double *sums; /* of each piece of a turn */
};

static void each(struct rw_backend *be, rw_pool_piece_fn fn, struct elements *e)
{
    e->kernels = &rw_cpu(be)->kernels;
    rw_pool_each(rw_cpu(be)->pool, fn, e, (e->n + ELEMENTS - 1) / ELEMENTS);
}

static size_t elements_in(const struct elements *e, size_t piece)
{
    return RW_MIN(e->n - piece * ELEMENTS, ELEMENTS);
}

static void epilogue_piece(void *ctx, size_t piece, size_t thread)
{
    const struct elements *e = ctx;
    size_t at = piece * ELEMENTS, n = elements_in(e, piece);
    if (e->epilogue == RW_TANH)
        e->kernels->tanh_backward(e->y + at, e->x + at, n);
    else if (e->epilogue == RW_SIGMOID)
        e->kernels->sigmoid_backward(e->y + at, e->x + at, n);
    else if (e->epilogue == RW_RELU2)
        e->kernels->relu2_backward(e->y + at, e->x + at, n);
}

static void epilogue(struct rw_backend *be, enum rw_epilogue which, float *dy, const float *y,
                     size_t n)
{
    each(be, epilogue_piece, &(struct elements){.y = dy, .x = y, .n = n, .epilogue = which});
}

static void copy_piece(void *ctx, size_t piece, size_t thread)
{
    const struct elements *e = ctx;
    size_t at = piece * ELEMENTS;
    memcpy(e->y + at, e->x + at, elements_in(e, piece) * sizeof(float));
}

static void copy(struct rw_backend *be, float *y, const float *x, size_t n)
{
    each(be, copy_piece, &(struct elements){.y = y, .x = x, .n = n});
}

static void add_piece(void *ctx, size_t piece, size_t thread)
{
    const struct elements *e = ctx;
    size_t at = piece * ELEMENTS;
    e->kernels->add(e->y + at, e->x + at, elements_in(e, piece));
}

static void add(struct rw_backend *be, float *y, const float *x, size_t n)
{
    each(be, add_piece, &(struct elements){.y = y, .x = x, .n = n});
}

static void zero_piece(void *ctx, size_t piece, size_t thread)
{
    const struct elements *e = ctx;
    memset(e->y + piece * ELEMENTS, 0, elements_in(e, piece) * sizeof(float));
}

static void zero(struct rw_backend *be, float *x, size_t n)
{
    each(be, zero_piece, &(struct elements){.y = x, .n = n});
}

static void squares_piece(void *ctx, size_t piece, size_t thread)
{
    const struct elements *e = ctx;
    e->sums[piece] = e->kernels->sum_squares(e->x + piece * ELEMENTS, elements_in(e, piece));
}

/* The sums of pieces are added up in their order. */
static double sum_squares(struct rw_backend *be, const float *x, size_t n)
{
    double sums[256], total = 0;
    for (size_t begin = 0; begin < n; begin += RW_COUNT(sums) * ELEMENTS) {
        size_t count = RW_MIN(n - begin, RW_COUNT(sums) * ELEMENTS);
        each(be, squares_piece, &(struct elements){.x = x + begin, .n = count, .sums = sums});
        for (size_t i = 0; i * ELEMENTS < count; i++)
            total += sums[i];
    }
    return total;
}

static void adamw_piece(void *ctx, size_t piece, size_t thread)
{
    const struct elements *e = ctx;
    const struct rw_adamw *op = e->adamw;
    size_t at = piece * ELEMENTS;
    const struct rw_adamw_step step = {.scale = op->scale,
                                       .lr = op->lr,
                                       .beta1 = (float)op->beta1,
                                       .rest1 = (float)(1 - op->beta1),
                                       .beta2 = (float)op->beta2,
                                       .rest2 = (float)(1 - op->beta2),
                                       .eps = op->eps,
                                       .decay = op->decay,
                                       .inverse_c1 = (float)(1 / op->c1),
                                       .inverse_c2 = (float)(1 / op->c2)};
    e->kernels->adamw(op->p + at, op->m + at, op->v + at, op->g + at, &step, elements_in(e, piece));
}

static void adamw(struct rw_backend *be, const struct rw_adamw *op)
{
    each(be, adamw_piece, &(struct elements){.n = op->n, .adamw = op});
}

/* --- row by row --------------------------------------------------------------------------------
 */

struct embedding {
    const struct rw_kernels *kernels;
    float *dtable;
    const float *dx;
    const int32_t *tokens;
    size_t n_tokens, channels;
};

static void embed_piece(void *ctx, size_t piece, size_t thread)
{
    const struct embedding *e = ctx;
    size_t c = piece * CHANNELS, n = RW_MIN(e->channels - c, CHANNELS);
    for (size_t t = 0; t < e->n_tokens; t++)
        e->kernels->add(e->dtable + (size_t)e->tokens[t] * e->channels + c,
                        e->dx + t * e->channels + c, n);
}

static void embed(struct rw_backend *be, float *dtable, const float *dx, const int32_t *tokens,
                  size_t n_tokens, size_t channels)
{
    struct embedding e = {&rw_cpu(be)->kernels, dtable, dx, tokens, n_tokens, channels};
    rw_pool_each(rw_cpu(be)->pool, embed_piece, &e, (channels + CHANNELS - 1) / CHANNELS);
}

struct losses {
    const struct rw_kernels *kernels;
    const struct rw_cross_entropy *op;
};

static void loss_piece(void *ctx, size_t t, size_t thread)
{
    const struct losses *job = ctx;
    const struct rw_cross_entropy *op = job->op;
    float *x = op->logits + t * op->vocab;
    op->loss[t] = 0;
    if (op->targets[t] < 0)
        memset(x, 0, op->vocab * sizeof *x);
    else
        op->loss[t] = job->kernels->cross_entropy(x, (size_t)op->targets[t], op->scale, op->l2wrap,
                                                  op->vocab);
}

static void cross_entropy(struct rw_backend *be, const struct rw_cross_entropy *op)
{
    struct losses job = {&rw_cpu(be)->kernels, op};
    rw_pool_each(rw_cpu(be)->pool, loss_piece, &job, op->tokens);
}

const struct rw_backward_ops rw_cpu_backward_ops = {
    .scratch_bytes = scratch_bytes,
    .prepare = prepare,
    .matmul = rw_cpu_train_matmul,
    .matmul_dx = rw_cpu_matmul_dx,
    .matmul_dw = rw_cpu_matmul_dw,
    .epilogue = epilogue,
    .norm_mix = rw_cpu_norm_mix_backward,
    .wkv7 = rw_cpu_wkv7_backward,
    .layer_norm = rw_cpu_layer_norm_backward,
    .embed = embed,
    .cross_entropy = cross_entropy,
    .copy = copy,
    .add = add,
    .zero = zero,
    .sum_squares = sum_squares,
    .adamw = adamw,
};
