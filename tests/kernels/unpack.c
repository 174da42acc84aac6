/* SPDX-License-Identifier: Apache-2.0 */
/* unpack and unpack_t: bit for bit what rw_to_f32 makes of the same bytes, whatever bytes they are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "harness.h"
#include "tensor/convert.h"
#include "tensor/dtype.h"

#define ROUNDS 60
#define UNTOUCHED 12345.0f

static void test_unpack(struct context *ctx)
{
    const struct rw_dtype_info *info = rw_dtype(ctx->dtype);
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = pick(ctx, 0, 1100 / info->block) * info->block;
        struct buffer from = buffer_new(ctx, n / info->block * info->bytes, 1);
        struct buffer to = floats_new(ctx, n);
        float *want = malloc((n + 1) * sizeof *want);
        fill_weights(ctx, ctx->dtype, from.data, n, i % 2);
        rw_to_f32(ctx->dtype, want, from.data, n);
        ctx->kernels->unpack[ctx->dtype](floats(to), from.data, n);
        for (size_t k = 0; k < n; k++)
            expect(ctx, same_bits(floats(to)[k], want[k]), "%zu of %zu: want %a, found %a", k, n,
                   (double)want[k], (double)floats(to)[k]);
        expect(ctx, buffer_intact(&to), "wrote outside");
        free(want);
        buffer_free(&from);
        buffer_free(&to);
    }
}

static void test_one_t(struct context *ctx, size_t rows, size_t cols, bool hostile)
{
    size_t size = rw_dtype(ctx->dtype)->bytes, stride = rows * size + pick(ctx, 0, 9);
    size_t ld = cols + pick(ctx, 1, 3), n = rows ? (rows - 1) * ld + cols : 0;
    struct buffer w = buffer_new(ctx, cols ? (cols - 1) * stride + rows * size : 0, 1);
    struct buffer to = floats_new(ctx, n);
    for (size_t i = 0; i < n; i++)
        floats(to)[i] = UNTOUCHED;
    for (size_t k = 0; k < cols; k++)
        fill_weights(ctx, ctx->dtype, w.data + k * stride, rows, hostile);
    ctx->kernels->unpack_t[ctx->dtype](floats(to), w.data, rows, cols, ld, stride);
    for (size_t i = 0; i < n; i++) {
        size_t r = i / ld, k = i % ld;
        float want = UNTOUCHED;
        if (k < cols)
            rw_to_f32(ctx->dtype, &want, w.data + k * stride + r * size, 1);
        expect(ctx, same_bits(floats(to)[i], want), "[%zu, %zu] of %zu x %zu: want %a, found %a", r,
               k, rows, cols, (double)want, (double)floats(to)[i]);
    }
    expect(ctx, buffer_intact(&to), "wrote outside");
    buffer_free(&w);
    buffer_free(&to);
}

static void test_unpack_t(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++)
        test_one_t(ctx, pick(ctx, 0, 50), pick(ctx, 0, 50), i % 2);
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define BENCH_ROWS 32
#define BENCH_COLS 2048

struct bench_unpack {
    rwkv_dtype dtype;
    uint8_t *from;
    float *to; /* for each thread */
};

static void unpack_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_unpack *b = user;
    kernels->unpack[b->dtype](b->to + index * BENCH_ROWS * BENCH_COLS, b->from,
                              BENCH_ROWS * BENCH_COLS);
}

static void unpack_t_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_unpack *b = user;
    kernels->unpack_t[b->dtype](b->to + index * BENCH_ROWS * BENCH_COLS, b->from, BENCH_COLS,
                                BENCH_ROWS, BENCH_ROWS, BENCH_COLS * rw_dtype(b->dtype)->bytes);
}

static void bench_part(struct context *ctx,
                       void (*part)(void *, const struct rw_kernels *, size_t, size_t))
{
    const struct rw_dtype_info *info = rw_dtype(ctx->dtype);
    size_t n = BENCH_ROWS * BENCH_COLS, threads = bench_threads();
    struct bench_unpack b = {.dtype = ctx->dtype};
    b.from = rw_alloc_aligned(n / info->block * info->bytes, 1);
    b.to = rw_alloc_aligned(n * threads * sizeof(float), 1);
    if (expect(ctx, b.from && b.to, "no memory for the benchmark")) {
        struct work work = {part, &b, 0, 0, (double)(n * threads), "weight"};
        fill_weights(ctx, ctx->dtype, b.from, n, false);
        bench(ctx, "[32, 2048]", &work);
    }
    rw_free(b.from);
    rw_free(b.to);
}

static void bench_unpack(struct context *ctx)
{
    bench_part(ctx, unpack_part);
}

static void bench_unpack_t(struct context *ctx)
{
    bench_part(ctx, unpack_t_part);
}

void register_unpack(void)
{
    char name[32];
    for (size_t i = 0; i < RWKV_DTYPE_MODEL_COUNT; i++) {
        rwkv_dtype dtype = (rwkv_dtype)i;
        snprintf(name, sizeof name, "unpack_%s", rwkv_dtype_name(dtype));
        register_kernel(name, ENTRY(unpack) + i, dtype, test_unpack, bench_unpack);
        if (rw_dtype_is_block(dtype))
            continue;
        snprintf(name, sizeof name, "unpack_t_%s", rwkv_dtype_name(dtype));
        register_kernel(name, ENTRY(unpack_t) + i, dtype, test_unpack_t, bench_unpack_t);
    }
}
