/* SPDX-License-Identifier: Apache-2.0 */
/* product_pack and product: every output is the chain of sums that kernels.h promises, to the bit,
 * whatever the strides of the operands, and wherever they are cut. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/half.h"
#include "harness.h"

#define ROUNDS 60
#define UNTOUCHED 12345.0f

/* The same products: of operands rounded to bf16 as a test of packing, else in f32. */
static bool in_bf16(const struct context *ctx)
{
    return strcmp(ctx->name, "product_pack") == 0;
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

/* A product and where its operands lie. */
struct shape {
    struct rw_product p;
    size_t a_row, a_depth, b_col, b_depth; /* strides in floats */
};

static struct shape random_shape(struct context *ctx, int round)
{
    struct shape s = {.p = {.rows = pick(ctx, 0, 40), .cols = pick(ctx, 0, 90)}};
    s.p.depth = pick(ctx, 0, 60);
    if (round % 10 == 0)
        s.p = (struct rw_product){pick(ctx, 1, 200), pick(ctx, 200, 250),
                                  pick(ctx, 200, RW_PRODUCT_DEPTH)};
    strides(ctx, s.p.rows, s.p.depth, &s.a_row, &s.a_depth);
    strides(ctx, s.p.cols, s.p.depth, &s.b_col, &s.b_depth);
    s.p.ld = s.p.cols + pick(ctx, 0, 3);
    s.p.first = pick(ctx, 0, 1);
    return s;
}

/* n rows or columns in two pieces, as two threads pack them. */
static void pack(const struct context *ctx, const struct rw_kernels *kernels, float *to,
                 const float *from, struct rw_product_operand o)
{
    size_t n = o.n;
    o.bf16 = in_bf16(ctx);
    o.n = n < RW_PRODUCT_STEP ? n : RW_PRODUCT_STEP;
    kernels->product_pack(to, from, &o);
    o.n = n - o.n;
    if (o.n > 0)
        kernels->product_pack(to + RW_PRODUCT_STEP * o.depth, from + RW_PRODUCT_STEP * o.row, &o);
}

/* Operands from a and b on, of the depth in s->p. */
static void multiply(const struct context *ctx, const struct rw_kernels *kernels,
                     const struct shape *s, float *out, float *packed_a, float *packed_b,
                     const float *a, const float *b)
{
    const struct rw_product *p = &s->p;
    pack(ctx, kernels, packed_a, a,
         (struct rw_product_operand){s->a_row, s->a_depth, p->rows, p->depth, false, false});
    pack(ctx, kernels, packed_b, b,
         (struct rw_product_operand){s->b_col, s->b_depth, p->cols, p->depth, true, false});
    kernels->product(out, packed_a, packed_b, p);
}

static float expected(const struct context *ctx, const struct shape *s, float sum, const float *a,
                      const float *b, size_t r, size_t c)
{
    sum = s->p.first ? 0 : sum;
    for (size_t i = 0; i < s->p.depth; i++)
        sum = fmaf(operand(ctx, a[i * s->a_depth + r * s->a_row]),
                   operand(ctx, b[i * s->b_depth + c * s->b_col]), sum);
    return sum;
}

static void check_outputs(struct context *ctx, const struct shape *s, const float *before,
                          const float *out, const float *a, const float *b, size_t n)
{
    const struct rw_product *p = &s->p;
    for (size_t i = 0; i < n; i++) {
        size_t r = i / p->ld, c = i % p->ld;
        float want = c < p->cols ? expected(ctx, s, before[i], a, b, r, c) : UNTOUCHED;
        expect(ctx, same_bits(out[i], want),
               "%zu x %zu, depth %zu, row %zu col %zu: want %a, found %a", p->rows, p->cols,
               p->depth, r, c, (double)want, (double)out[i]);
    }
}

static void test_one(struct context *ctx, struct shape s, bool hostile)
{
    size_t n = extent(s.p.rows, s.p.ld, s.p.cols, 1), depth = s.p.depth, cut = depth / 3;
    struct buffer a = floats_random(ctx, extent(s.p.rows, s.a_row, depth, s.a_depth), hostile);
    struct buffer b = floats_random(ctx, extent(s.p.cols, s.b_col, depth, s.b_depth), hostile);
    struct buffer out = floats_random(ctx, n, hostile);
    struct buffer packed_a = floats_new(ctx, RW_PRODUCT_PACKED(s.p.rows, depth));
    struct buffer packed_b = floats_new(ctx, RW_PRODUCT_PACKED(s.p.cols, depth));
    float *before = malloc((n + 1) * sizeof *before);
    struct shape part = s;
    for (size_t i = 0; i < n; i++)
        if (i % s.p.ld >= s.p.cols)
            floats(out)[i] = UNTOUCHED;
    memcpy(before, out.data, n * sizeof *before);
    part.p.depth = cut;
    multiply(ctx, ctx->kernels, &part, floats(out), floats(packed_a), floats(packed_b), floats(a),
             floats(b));
    part.p.depth = depth - cut;
    part.p.first = false;
    multiply(ctx, ctx->kernels, &part, floats(out), floats(packed_a), floats(packed_b),
             floats(a) + cut * s.a_depth, floats(b) + cut * s.b_depth);
    check_outputs(ctx, &s, before, floats(out), floats(a), floats(b), n);
    expect(ctx, buffer_intact(&out) && buffer_intact(&packed_a) && buffer_intact(&packed_b),
           "wrote outside");
    free(before);
    buffer_free(&a);
    buffer_free(&b);
    buffer_free(&out);
    buffer_free(&packed_a);
    buffer_free(&packed_b);
}

static void test_product(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++)
        test_one(ctx, random_shape(ctx, i), i % 4 == 3);
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define BENCH_ROWS 192 /* the caller's tile */
#define BENCH_COLS 240
#define BENCH_DEPTH 1024

struct bench_product {
    const struct context *ctx;
    struct shape s;
    float *a, *b;
    float *out, *packed; /* of each thread */
};

/* A tile of outputs, its operands piece by piece. */
static void product_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    const struct bench_product *b = user;
    struct shape s = b->s;
    float *packed = b->packed + index * (BENCH_ROWS + BENCH_COLS) * RW_PRODUCT_DEPTH;
    for (size_t i = 0; i < BENCH_DEPTH; i += s.p.depth) {
        multiply(b->ctx, kernels, &s, b->out + index * BENCH_ROWS * BENCH_COLS, packed,
                 packed + BENCH_ROWS * RW_PRODUCT_DEPTH, b->a + i * s.a_depth,
                 b->b + i * s.b_depth);
        s.p.first = false;
    }
}

static void bench_shape(struct context *ctx, const char *name, struct shape s)
{
    struct bench_product b = {ctx, s};
    size_t n_a = BENCH_ROWS * BENCH_DEPTH, n_b = BENCH_COLS * BENCH_DEPTH;
    size_t threads = bench_threads(), n_out = (size_t)BENCH_ROWS * BENCH_COLS * threads;
    b.a = rw_alloc_aligned(n_a, sizeof(float));
    b.b = rw_alloc_aligned(n_b, sizeof(float));
    b.out = rw_alloc_aligned(n_out, sizeof(float));
    b.packed =
        rw_alloc_aligned((BENCH_ROWS + BENCH_COLS) * RW_PRODUCT_DEPTH * threads, sizeof(float));
    if (expect(ctx, b.a && b.b && b.out && b.packed, "no memory for the benchmark")) {
        struct work work = {product_part, &b, 0, 2.0 * (double)n_out * BENCH_DEPTH, 0, NULL};
        fill_floats(ctx, b.a, n_a, false);
        fill_floats(ctx, b.b, n_b, false);
        bench(ctx, name, &work);
    }
    rw_free(b.a);
    rw_free(b.b);
    rw_free(b.out);
    rw_free(b.packed);
}

static void bench_product(struct context *ctx)
{
    const struct rw_product p = {BENCH_ROWS, BENCH_COLS, RW_PRODUCT_DEPTH, BENCH_COLS, true};
    bench_shape(ctx, "dx", (struct shape){p, BENCH_DEPTH, 1, 1, BENCH_COLS});
    bench_shape(ctx, "dw", (struct shape){p, 1, BENCH_ROWS, 1, BENCH_COLS});
    bench_shape(ctx, "y", (struct shape){p, BENCH_DEPTH, 1, BENCH_DEPTH, 1});
}

void register_product(void)
{
    register_kernel("product", ENTRY(product), RWKV_DTYPE_F32, test_product, bench_product);
    register_kernel("product_pack", ENTRY(product_pack), RWKV_DTYPE_BF16, test_product,
                    bench_product);
}
