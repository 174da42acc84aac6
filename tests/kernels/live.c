/* SPDX-License-Identifier: Apache-2.0 */
/* Products with few live inputs: the same bits as the product that reads all of the weight, but for
 * the sign of a zero; and weights with numbers that are not finite refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "dot.h"
#include "harness.h"
#include "tensor/convert.h"
#include "tensor/dtype.h"

#define ROUNDS 24

static size_t width(rwkv_dtype dtype, size_t cols)
{
    return cols / rw_dtype(dtype)->block * rw_dtype(dtype)->bytes;
}

/* Normally distributed squares, most of them zero; now and then a whole block of zeros. */
static void fill_sparse(struct context *ctx, float *x, size_t n)
{
    size_t zeros = pick(ctx, 0, 10);
    for (size_t i = 0; i < n; i++) {
        if (i % 32 == 0)
            zeros = pick(ctx, 0, 10);
        float v = (float)rw_rng_normal(&ctx->rng);
        x[i] = pick(ctx, 1, 10) <= zeros ? 0 : v * v;
    }
}

/* What kernels.h says the kernels are given. Buffers are as large as all inputs could need. */
struct inputs {
    struct rw_live live;
    struct buffer code, scale, sum;
};

static void find_codes(struct inputs *in, rwkv_dtype dtype, size_t cols)
{
    struct rw_live *live = &in->live;
    size_t group = dot_group_of(dtype);
    for (size_t k = 0; k < cols; k++) {
        if (k % group == 0)
            live->count[k / group] = 0;
        if (live->dense.code[k] != 0) {
            live->channel[live->n] = (uint32_t)k;
            live->code[live->n++] = live->dense.code[k];
            live->count[k / group]++;
        }
        if ((k + 1) % group != 0 || live->dense.scale[k / 32] == 0)
            continue;
        for (uint8_t *n = &live->count[k / group]; *n == 0 || *n % 4 != 0; ++*n) {
            live->channel[live->n] = (uint32_t)k;
            live->code[live->n++] = 0;
        }
    }
}

static void find_values(struct inputs *in, const float *x, size_t cols)
{
    struct rw_live *live = &in->live;
    for (size_t k = 0; k < cols; k++) {
        if (x[k] != 0) {
            live->channel[live->n] = (uint32_t)k;
            live->value[live->n++] = x[k];
        }
    }
}

static void inputs_new(struct context *ctx, struct inputs *in, const float *x, size_t cols)
{
    size_t most = cols + cols / 4 + 64;
    memset(in, 0, sizeof *in);
    in->live.channel = calloc(most + RW_LIVE_AHEAD, sizeof *in->live.channel);
    in->live.code = calloc(most, 1);
    in->live.count = calloc(cols / 16 + 1, 1);
    in->live.value = calloc(most, sizeof *in->live.value);
    in->code = buffer_new(ctx, cols, 1);
    in->scale = buffer_new(ctx, cols / 32 * sizeof(float), sizeof(float));
    in->sum = buffer_new(ctx, cols / 16 * sizeof(int32_t), sizeof(int32_t));
    if (!rw_dtype_is_block(ctx->dtype)) {
        find_values(in, x, cols);
        return;
    }
    in->live.dense = (struct rw_dot_input){(int8_t *)in->code.data, floats(in->scale),
                                           (int32_t *)(void *)in->sum.data};
    ctx->kernels->quantize(in->live.dense.code, in->live.dense.scale, in->live.dense.sum, x, cols);
    find_codes(in, ctx->dtype, cols);
}

static void inputs_free(struct inputs *in)
{
    free(in->live.channel);
    free(in->live.code);
    free(in->live.count);
    free(in->live.value);
    buffer_free(&in->code);
    buffer_free(&in->scale);
    buffer_free(&in->sum);
}

static void multiply_all(struct context *ctx, float *y, const struct inputs *in, const float *x,
                         const uint8_t *w, size_t rows, size_t cols, size_t stride)
{
    if (rw_dtype_is_block(ctx->dtype))
        ctx->kernels->matvec_dot[ctx->dtype](y, &in->live.dense, w, rows, cols, stride);
    else
        ctx->kernels->matvec[ctx->dtype](y, x, w, rows, cols, stride);
}

static void check(struct context *ctx, size_t rows, size_t cols, size_t gap)
{
    size_t stride = width(ctx->dtype, cols) + gap;
    struct buffer w = buffer_new(ctx, (rows - 1) * stride + width(ctx->dtype, cols), 1);
    struct buffer xs = floats_new(ctx, cols), y = floats_new(ctx, RW_TILE_ROWS);
    size_t size = ctx->kernels->tile_bytes(ctx->dtype, cols);
    uint8_t *tile = rw_alloc_aligned(size, 1);
    float want[RW_TILE_ROWS];
    struct inputs in;
    for (size_t r = 0; r < rows; r++)
        fill_weights(ctx, ctx->dtype, w.data + r * stride, cols, false);
    fill_sparse(ctx, floats(xs), cols);
    inputs_new(ctx, &in, floats(xs), cols);
    multiply_all(ctx, want, &in, floats(xs), w.data, rows, cols, stride);
    expect(ctx, ctx->kernels->tile[ctx->dtype](tile, w.data, rows, cols, stride),
           "%zu x %zu: refused", rows, cols);
    ctx->kernels->matvec_live[ctx->dtype](floats(y), &in.live, tile, cols);
    for (size_t r = 0; r < rows; r++) {
        float got = floats(y)[r];
        expect(ctx, same_bits(got, want[r]) || (got == 0 && want[r] == 0),
               "row %zu of %zu x %zu: want %a, found %a", r, rows, cols, (double)want[r],
               (double)got);
    }
    expect(ctx, buffer_intact(&y), "%zu x %zu: wrote outside y", rows, cols);
    rw_free(tile);
    inputs_free(&in);
    buffer_free(&w);
    buffer_free(&xs);
    buffer_free(&y);
}

static size_t pick_cols(struct context *ctx)
{
    size_t step = rw_dtype(ctx->dtype)->block == 256 ? 256 : 32;
    return pick(ctx, 1, 1200 / step) * step;
}

static void test_live(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++)
        check(ctx, pick(ctx, 0, 2) ? pick(ctx, 1, RW_TILE_ROWS) : RW_TILE_ROWS, pick_cols(ctx),
              pick(ctx, 0, 1) * pick(ctx, 1, 50));
}

/* One number that is not finite, somewhere among any bits, is found. */
static void test_tile(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++) {
        size_t rows = pick(ctx, 1, 40), cols = pick_cols(ctx), stride = width(ctx->dtype, cols);
        struct buffer w = buffer_new(ctx, rows * stride, 1);
        uint8_t *tile = rw_alloc_aligned(ctx->kernels->tile_bytes(ctx->dtype, cols), 1);
        float *values = malloc(cols * sizeof *values);
        bool finite = true, hostile = i % 2;
        for (size_t r = 0; r < rows; r++) {
            fill_weights(ctx, ctx->dtype, w.data + r * stride, cols, hostile && r == rows / 2);
            rw_to_f32(ctx->dtype, values, w.data + r * stride, cols);
            for (size_t k = 0; k < cols; k++)
                finite = finite && isfinite(values[k]);
        }
        bool taken = ctx->kernels->tile[ctx->dtype](tile, w.data, rows, cols, stride);
        expect(ctx, !taken || finite, "%zu x %zu: numbers that are not finite taken", rows, cols);
        expect(ctx, taken || hostile, "%zu x %zu: finite numbers refused", rows, cols);
        expect(ctx, buffer_intact(&w), "%zu x %zu: the weight was written to", rows, cols);
        free(values);
        rw_free(tile);
        buffer_free(&w);
    }
}

/* Room for every type, more for more columns. */
static void test_tile_bytes(struct context *ctx)
{
    for (size_t i = 0; i < RWKV_DTYPE_MODEL_COUNT; i++) {
        size_t one = ctx->kernels->tile_bytes((rwkv_dtype)i, 256);
        expect(ctx, one >= RW_TILE_ROWS * 256 / 4, "type %zu: %zu bytes", i, one);
        expect(ctx, ctx->kernels->tile_bytes((rwkv_dtype)i, 512) > one, "type %zu: no more", i);
    }
}

struct bench_live {
    rwkv_dtype dtype;
    struct inputs in;
    uint8_t *tile;
    size_t cols;
};

static void live_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_live *b = user;
    float y[RW_TILE_ROWS];
    (void)index;
    (void)count;
    kernels->matvec_live[b->dtype](y, &b->in.live, b->tile, b->cols);
}

/* A tile in the cache with nine inputs of ten zero; time is what counts. */
static void bench_live(struct context *ctx)
{
    struct bench_live b = {.dtype = ctx->dtype, .cols = 2048};
    size_t stride = width(b.dtype, b.cols);
    uint8_t *w = rw_alloc_aligned(RW_TILE_ROWS * stride, 1);
    float *x = rw_alloc_aligned(b.cols, sizeof *x);
    b.tile = rw_alloc_aligned(ctx->kernels->tile_bytes(b.dtype, b.cols), 1);
    if (expect(ctx, w && x && b.tile, "no memory for the benchmark")) {
        fill_weights(ctx, b.dtype, w, RW_TILE_ROWS * b.cols, false);
        for (size_t k = 0; k < b.cols; k++)
            x[k] = k % 10 ? 0 : (float)(k + 1);
        inputs_new(ctx, &b.in, x, b.cols);
        ctx->kernels->tile[b.dtype](b.tile, w, RW_TILE_ROWS, b.cols, stride);
        struct work work = {.part = live_part,
                            .user = &b,
                            .units = (double)(RW_TILE_ROWS * b.cols),
                            .what = "weight"};
        bench(ctx, "[128, 2048], a tenth live", &work);
        inputs_free(&b.in);
    }
    rw_free(w);
    rw_free(x);
    rw_free(b.tile);
}

void register_live(void)
{
    char name[32];
    register_optional("tile_bytes", ENTRY(tile_bytes), 0, test_tile_bytes, NULL);
    for (size_t i = 0; i < RWKV_DTYPE_MODEL_COUNT; i++) {
        rwkv_dtype dtype = (rwkv_dtype)i;
        snprintf(name, sizeof name, "tile_%s", rwkv_dtype_name(dtype));
        register_optional(name, ENTRY(tile) + i, dtype, test_tile, NULL);
        snprintf(name, sizeof name, "matvec_live_%s", rwkv_dtype_name(dtype));
        register_optional(name, ENTRY(matvec_live) + i, dtype, test_live, bench_live);
    }
}
