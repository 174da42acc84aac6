/* SPDX-License-Identifier: Apache-2.0 */
/* matvec and matvec_t of every type: the promised order of summation to the last bit, and close to
 * a sum in double. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "harness.h"
#include "tensor/convert.h"
#include "tensor/dtype.h"

#define ROUNDS 60

/* One product: rows of `cols` weights, `stride` bytes apart, or the transpose of that. */
struct product {
    size_t rows, cols, stride;
    bool hostile;
    struct buffer w, x, y;
    float *values; /* [rows, cols] */
};

static size_t row_bytes(rwkv_dtype dtype, size_t n)
{
    return n / rw_dtype(dtype)->block * rw_dtype(dtype)->bytes;
}

/* Sizes that meet every tail: mostly small, sometimes longer than any piece. */
static size_t pick_cols(struct context *ctx)
{
    size_t block = rw_dtype(ctx->dtype)->block;
    size_t most = pick(ctx, 0, 7) ? 700 : 2600;
    return block == 1 ? pick(ctx, 0, most) : pick(ctx, 0, most / block) * block;
}

/* `outer` rows of `inner` weights lie in memory, with gaps after each but the last. */
static void product_new(struct context *ctx, struct product *p, size_t outer, size_t inner)
{
    size_t bytes = row_bytes(ctx->dtype, inner), gap = pick(ctx, 0, 2) ? 0 : pick(ctx, 1, 100);
    p->hostile = pick(ctx, 0, 3) == 0;
    p->stride = bytes + gap;
    p->w = buffer_new(ctx, outer ? (outer - 1) * p->stride + bytes : 0, 1);
    for (size_t i = 0; i < outer; i++)
        fill_weights(ctx, ctx->dtype, p->w.data + i * p->stride, inner, p->hostile);
    p->x = floats_random(ctx, p->cols, p->hostile);
    p->y = floats_new(ctx, p->rows);
    p->values = malloc((p->rows * p->cols + 1) * sizeof(float));
}

static void product_free(struct product *p)
{
    buffer_free(&p->w);
    buffer_free(&p->x);
    buffer_free(&p->y);
    free(p->values);
}

static void check_product(struct context *ctx, const struct product *p)
{
    const float *x = floats(p->x), *y = floats(p->y);
    for (size_t r = 0; r < p->rows; r++) {
        const float *row = p->values + r * p->cols;
        double magnitude, want = sum_in_double(row, x, p->cols, &magnitude);
        float exact = sum_in_lanes(ctx, row, x, p->cols);
        expect(ctx, same_bits(y[r], exact), "order: row %zu of %zu x %zu: want %a, found %a", r,
               p->rows, p->cols, (double)exact, (double)y[r]);
        if (!p->hostile)
            expect(ctx, close_enough(y[r], want, 4, p->cols, magnitude),
                   "row %zu of %zu x %zu: want %g, found %g", r, p->rows, p->cols, want,
                   (double)y[r]);
    }
    expect(ctx, buffer_intact(&p->y), "%zu x %zu: wrote outside y", p->rows, p->cols);
}

/* matmul of the unpacked weight with one token gives the same bits. */
static void check_same_as_matmul(struct context *ctx, const struct product *p)
{
    float *y = malloc((p->rows + 1) * sizeof *y), *sums = malloc((p->rows + 1) * 16 * sizeof *sums);
    struct rw_matmul_piece all = {1, p->rows, p->cols, p->rows, p->cols, p->cols, true, true};
    ctx->kernels->matmul(y, sums, floats(p->x), p->values, &all);
    for (size_t r = 0; r < p->rows; r++)
        expect(ctx, same_bits(y[r], floats(p->y)[r]), "row %zu of %zu x %zu differs from matmul", r,
               p->rows, p->cols);
    free(sums);
    free(y);
}

static void test_matvec(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct product p = {.rows = pick(ctx, 0, 11), .cols = pick_cols(ctx)};
        product_new(ctx, &p, p.rows, p.cols);
        for (size_t r = 0; i % 8 == 0 && !rw_dtype_is_block(ctx->dtype) && r < p.rows; r++)
            fill_underflow(ctx->dtype, p.w.data + r * p.stride, floats(p.x), p.cols);
        for (size_t r = 0; r < p.rows; r++)
            rw_to_f32(ctx->dtype, p.values + r * p.cols, p.w.data + r * p.stride, p.cols);
        ctx->kernels->matvec[ctx->dtype](floats(p.y), floats(p.x), p.w.data, p.rows, p.cols,
                                         p.stride);
        check_product(ctx, &p);
        check_same_as_matmul(ctx, &p);
        product_free(&p);
    }
}

static void test_matvec_t(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct product p = {.rows = pick(ctx, 0, 150), .cols = pick(ctx, 0, 90)};
        product_new(ctx, &p, p.cols, p.rows);
        float *line = malloc((p.rows + 1) * sizeof *line);
        for (size_t k = 0; k < p.cols; k++) {
            for (size_t r = 0; i % 8 == 0 && r < p.rows; r++)
                fill_underflow(ctx->dtype,
                               p.w.data + k * p.stride + r * rw_dtype(ctx->dtype)->bytes,
                               floats(p.x) + k, 1);
            rw_to_f32(ctx->dtype, line, p.w.data + k * p.stride, p.rows);
            for (size_t r = 0; r < p.rows; r++)
                p.values[r * p.cols + k] = line[r];
        }
        ctx->kernels->matvec_t[ctx->dtype](floats(p.y), floats(p.x), p.w.data, p.rows, p.cols,
                                           p.stride);
        check_product(ctx, &p);
        check_same_as_matmul(ctx, &p);
        free(line);
        product_free(&p);
    }
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define BENCH_BYTES ((size_t)256 << 20)

struct bench_product {
    rwkv_dtype dtype;
    size_t rows, cols, stride;
    uint8_t *w;
    float *x, *y;
};

static void matvec_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_product *p = user;
    size_t begin, end;
    rw_pool_share(p->rows, 4, index, count, &begin, &end);
    kernels->matvec[p->dtype](p->y + begin, p->x, p->w + begin * p->stride, end - begin, p->cols,
                              p->stride);
}

/* Outputs are shared out; each thread reads its columns of every row. */
static void matvec_t_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_product *p = user;
    size_t begin, end, size = rw_dtype(p->dtype)->bytes;
    rw_pool_share(p->rows, 64, index, count, &begin, &end);
    kernels->matvec_t[p->dtype](p->y + begin, p->x, p->w + begin * size, end - begin, p->cols,
                                p->stride);
}

/* `outer` rows of `inner` weights: a few thousand weights over and over. */
static bool bench_product_new(struct context *ctx, struct bench_product *p, size_t outer,
                              size_t inner)
{
    p->dtype = ctx->dtype;
    p->stride = row_bytes(ctx->dtype, inner);
    p->w = rw_alloc_aligned(outer * p->stride, 1);
    p->x = rw_alloc_aligned(p->cols, sizeof(float));
    p->y = rw_alloc_aligned(p->rows, sizeof(float));
    if (!p->w || !p->x || !p->y)
        return expect(ctx, false, "no memory for the benchmark");
    fill_weights(ctx, ctx->dtype, p->w, inner, false);
    for (size_t i = 1; i < outer; i++)
        memcpy(p->w + i * p->stride, p->w, p->stride);
    fill_floats(ctx, p->x, p->cols, false);
    return true;
}

static void bench_product_free(struct bench_product *p)
{
    rw_free(p->w);
    rw_free(p->x);
    rw_free(p->y);
}

static void bench_matvec(struct context *ctx)
{
    static const size_t widths[] = {768, 2048};
    for (size_t i = 0; i < 2; i++) {
        struct bench_product p = {.cols = widths[i]};
        char shape[32];
        p.rows = BENCH_BYTES / row_bytes(ctx->dtype, p.cols) / 64 * 64;
        if (bench_product_new(ctx, &p, p.rows, p.cols)) {
            double weights = (double)p.rows * (double)p.cols;
            struct work work = {matvec_part, &p, (double)(p.rows * p.stride), 0, weights, "weight"};
            snprintf(shape, sizeof shape, "[%zu, %zu]", p.rows, p.cols);
            bench(ctx, shape, &work);
        }
        bench_product_free(&p);
    }
}

/* A layer's low-rank pair lies in the second cache when its turn comes again; time is what counts.
 */
static void bench_matvec_t(struct context *ctx)
{
    static const size_t shapes[][2] = {{128, 2048}, {2048, 128}};
    for (size_t i = 0; i < 2; i++) {
        struct bench_product p = {.rows = shapes[i][0], .cols = shapes[i][1]};
        char shape[32];
        if (bench_product_new(ctx, &p, p.cols, p.rows)) {
            double weights = (double)p.rows * (double)p.cols;
            struct work work = {matvec_t_part, &p, 0, 0, weights, "weight"};
            snprintf(shape, sizeof shape, "[%zu, %zu]", p.cols, p.rows);
            bench(ctx, shape, &work);
        }
        bench_product_free(&p);
    }
}

void register_matvec(void)
{
    char name[32];
    for (size_t i = 0; i < RWKV_DTYPE_MODEL_COUNT; i++) {
        rwkv_dtype dtype = (rwkv_dtype)i;
        snprintf(name, sizeof name, "matvec_%s", rwkv_dtype_name(dtype));
        register_when(rw_dtype_is_block(dtype) ? NOT_IN_INTEGERS : ALWAYS, name, ENTRY(matvec) + i,
                      dtype, test_matvec, bench_matvec);
        if (rw_dtype_is_block(dtype))
            continue;
        snprintf(name, sizeof name, "matvec_t_%s", rwkv_dtype_name(dtype));
        register_kernel(name, ENTRY(matvec_t) + i, dtype, test_matvec_t, bench_matvec_t);
    }
}
