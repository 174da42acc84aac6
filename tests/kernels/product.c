/* SPDX-License-Identifier: Apache-2.0 */
/* product and product_bf16: every output is the chain of sums that kernels.h promises, to the bit,
 * whatever the strides, and wherever its operands are cut. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/half.h"
#include "harness.h"

#define ROUNDS 60
#define UNTOUCHED 12345.0f

static bool in_bf16(const struct context *ctx)
{
    return strcmp(ctx->name, "product_bf16") == 0;
}

static RW_PRODUCT_FN((*kernel_of(const struct context *ctx, const struct rw_kernels *kernels)))
{
    return in_bf16(ctx) ? kernels->product_bf16 : kernels->product;
}

static float operand(const struct context *ctx, float x)
{
    return in_bf16(ctx) ? rw_bf16_to_f32(rw_f32_to_bf16(x)) : x;
}

/* Floats from the first to the last of rows × depth elements. */
static size_t extent(size_t rows, size_t row, size_t depth, size_t step)
{
    return rows && depth ? (rows - 1) * row + (depth - 1) * step + 1 : 0;
}

/* One index or the other is the one of neighbours. */
static void strides(struct context *ctx, size_t rows, size_t depth, size_t *row, size_t *step)
{
    bool along = pick(ctx, 0, 1);
    *row = along ? depth + pick(ctx, 0, 3) : 1;
    *step = along ? 1 : rows + pick(ctx, 0, 3);
}

static struct rw_product random_shape(struct context *ctx, int round)
{
    struct rw_product p = {.rows = pick(ctx, 0, 40), .cols = pick(ctx, 0, 90), .depth = 0};
    p.depth = pick(ctx, 0, 60);
    if (round % 10 == 0)
        p = (struct rw_product){pick(ctx, 1, RW_PRODUCT_ROWS), pick(ctx, 200, RW_PRODUCT_COLS),
                                pick(ctx, 200, RW_PRODUCT_DEPTH)};
    strides(ctx, p.rows, p.depth, &p.a_row, &p.a_depth);
    strides(ctx, p.cols, p.depth, &p.b_col, &p.b_depth);
    p.ld = p.cols + pick(ctx, 0, 3);
    p.first = pick(ctx, 0, 1);
    return p;
}

static float expected(const struct context *ctx, const struct rw_product *p, float sum,
                      const float *a, const float *b, size_t r, size_t c)
{
    sum = p->first ? 0 : sum;
    for (size_t i = 0; i < p->depth; i++)
        sum = fmaf(operand(ctx, a[i * p->a_depth + r * p->a_row]),
                   operand(ctx, b[i * p->b_depth + c * p->b_col]), sum);
    return sum;
}

static void test_one(struct context *ctx, struct rw_product p, bool hostile)
{
    size_t n = extent(p.rows, p.ld, p.cols, 1);
    struct buffer a = floats_random(ctx, extent(p.rows, p.a_row, p.depth, p.a_depth), hostile);
    struct buffer b = floats_random(ctx, extent(p.cols, p.b_col, p.depth, p.b_depth), hostile);
    struct buffer out = floats_random(ctx, n, hostile);
    struct buffer scratch = floats_new(ctx, RW_PRODUCT_SCRATCH);
    float *before = malloc((n + 1) * sizeof *before);
    struct rw_product part = p;
    size_t cut = p.depth / 3;
    for (size_t i = 0; i < n; i++)
        if (i % p.ld >= p.cols)
            floats(out)[i] = UNTOUCHED;
    memcpy(before, out.data, n * sizeof *before);
    part.depth = cut;
    kernel_of(ctx, ctx->kernels)(floats(out), floats(scratch), floats(a), floats(b), &part);
    part.depth = p.depth - cut;
    part.first = false;
    kernel_of(ctx, ctx->kernels)(floats(out), floats(scratch), floats(a) + cut * p.a_depth,
                                 floats(b) + cut * p.b_depth, &part);
    for (size_t i = 0; i < n; i++) {
        size_t r = i / p.ld, c = i % p.ld;
        float want =
            c < p.cols ? expected(ctx, &p, before[i], floats(a), floats(b), r, c) : UNTOUCHED;
        expect(ctx, same_bits(floats(out)[i], want),
               "%zu x %zu, depth %zu, row %zu col %zu: want %a, found %a", p.rows, p.cols, p.depth,
               r, c, (double)want, (double)floats(out)[i]);
    }
    expect(ctx, buffer_intact(&out) && buffer_intact(&scratch), "wrote outside");
    free(before);
    buffer_free(&a);
    buffer_free(&b);
    buffer_free(&out);
    buffer_free(&scratch);
}

static void test_product(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++)
        test_one(ctx, random_shape(ctx, i), i % 4 == 3);
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define BENCH_DEPTH 1024

struct bench_product {
    const struct context *ctx;
    struct rw_product p;
    float *a, *b;
    float *out, *scratch; /* of each thread */
};

/* The caller's pattern: a tile of outputs, its operands piece by piece. */
static void product_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    const struct bench_product *b = user;
    struct rw_product p = b->p;
    for (size_t i = 0; i < BENCH_DEPTH; i += p.depth) {
        kernel_of(b->ctx, kernels)(b->out + index * p.rows * p.ld,
                                   b->scratch + index * RW_PRODUCT_SCRATCH, b->a + i * p.a_depth,
                                   b->b + i * p.b_depth, &p);
        p.first = false;
    }
}

static void bench_shape(struct context *ctx, const char *shape, struct rw_product p)
{
    struct bench_product b = {ctx, p};
    size_t n_a = p.rows * BENCH_DEPTH, n_b = p.cols * BENCH_DEPTH, threads = bench_threads();
    size_t n_out = p.rows * p.ld * threads;
    b.a = rw_alloc_aligned(n_a, sizeof(float));
    b.b = rw_alloc_aligned(n_b, sizeof(float));
    b.out = rw_alloc_aligned(n_out, sizeof(float));
    b.scratch = rw_alloc_aligned(RW_PRODUCT_SCRATCH * threads, sizeof(float));
    if (expect(ctx, b.a && b.b && b.out && b.scratch, "no memory for the benchmark")) {
        double flops = 2.0 * (double)(p.rows * p.cols * threads) * BENCH_DEPTH;
        struct work work = {product_part, &b, 0, flops, 0, NULL};
        work.peak = in_bf16(ctx) ? PEAK_BF16 : PEAK_F32;
        fill_floats(ctx, b.a, n_a, false);
        fill_floats(ctx, b.b, n_b, false);
        bench(ctx, shape, &work);
    }
    rw_free(b.a);
    rw_free(b.b);
    rw_free(b.out);
    rw_free(b.scratch);
}

static void bench_product(struct context *ctx)
{
    size_t rows = RW_PRODUCT_ROWS, cols = RW_PRODUCT_COLS, depth = RW_PRODUCT_DEPTH;
    bench_shape(ctx, "dx",
                (struct rw_product){rows, cols, depth, BENCH_DEPTH, 1, 1, cols, cols, true});
    bench_shape(ctx, "dw", (struct rw_product){rows, cols, depth, 1, rows, 1, cols, cols, true});
    bench_shape(ctx, "y",
                (struct rw_product){rows, cols, depth, BENCH_DEPTH, 1, BENCH_DEPTH, 1, cols, true});
}

void register_product(void)
{
    register_kernel("product", ENTRY(product), RWKV_DTYPE_F32, test_product, bench_product);
    register_kernel("product_bf16", ENTRY(product_bf16), RWKV_DTYPE_BF16, test_product,
                    bench_product);
}
