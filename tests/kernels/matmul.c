/* SPDX-License-Identifier: Apache-2.0 */
/* matmul: every output is the sum that matvec makes, whatever else is computed beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "harness.h"

#define ROUNDS 60
#define UNTOUCHED 12345.0f

struct shape {
    size_t tokens, rows, cols, ldy, ldx, ldw;
    size_t piece; /* columns at a time */
};

static void multiply(const struct rw_kernels *kernels, const struct shape *s, float *y, float *sums,
                     const float *x, const float *w)
{
    struct rw_matmul_piece p = {s->tokens, s->rows, 0, s->ldy, s->ldx, s->ldw, true, false};
    for (size_t k = 0; !p.last; k += p.cols, p.first = false) {
        p.cols = s->cols - k < s->piece ? s->cols - k : s->piece;
        p.last = k + p.cols == s->cols;
        p.next = k % 64 ? NULL : w + k + p.cols; /* fetched, past the end too, but never read */
        p.next_stride = s->ldw * sizeof *w;
        kernels->matmul(y, sums, x + k, w + k, &p);
    }
}

static void check_output(struct context *ctx, const struct shape *s, const float *y, const float *x,
                         const float *w, bool hostile, size_t t, size_t r)
{
    const float *row = w + r * s->ldw, *input = x + t * s->ldx;
    double magnitude, want = sum_in_double(row, input, s->cols, &magnitude);
    float exact = sum_in_lanes(ctx, row, input, s->cols), got = y[t * s->ldy + r];
    expect(ctx, same_bits(got, exact),
           "order: token %zu row %zu of %zu x %zu x %zu: want %a, found %a", t, r, s->tokens,
           s->rows, s->cols, (double)exact, (double)got);
    if (!hostile)
        expect(ctx, close_enough(got, want, 4, s->cols, magnitude),
               "token %zu row %zu of %zu x %zu x %zu: want %g, found %g", t, r, s->tokens, s->rows,
               s->cols, want, (double)got);
}

/* n rows of `cols` floats with gaps between them. */
static size_t extent(size_t n, size_t cols, size_t ld)
{
    return n ? (n - 1) * ld + cols : 0;
}

static void test_one(struct context *ctx, const struct shape *s, bool hostile)
{
    struct buffer x = floats_random(ctx, extent(s->tokens, s->cols, s->ldx), hostile);
    struct buffer w = floats_random(ctx, extent(s->rows, s->cols, s->ldw), hostile);
    size_t n_y = extent(s->tokens, s->rows, s->ldy);
    struct buffer y = floats_new(ctx, n_y);
    for (size_t i = 0; i < n_y; i++)
        floats(y)[i] = UNTOUCHED;
    struct buffer sums = floats_new(ctx, s->tokens * s->rows * 16);
    multiply(ctx->kernels, s, floats(y), floats(sums), floats(x), floats(w));
    for (size_t t = 0; t < s->tokens; t++)
        for (size_t r = 0; r < s->rows; r++)
            check_output(ctx, s, floats(y), floats(x), floats(w), hostile, t, r);
    for (size_t i = 0; i < n_y; i++)
        if (i % s->ldy >= s->rows)
            expect(ctx, floats(y)[i] == UNTOUCHED, "wrote between rows of y");
    expect(ctx, buffer_intact(&y), "wrote outside y");
    expect(ctx, buffer_intact(&sums), "wrote outside the sums");
    buffer_free(&sums);
    buffer_free(&x);
    buffer_free(&w);
    buffer_free(&y);
}

static void test_matmul(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct shape s = {pick(ctx, 0, 31), pick(ctx, 0, 13), pick(ctx, 0, 150), 0, 0, 0, 0};
        if (i % 10 == 0)
            s = (struct shape){
                pick(ctx, 1, 9), pick(ctx, 30, 70), pick(ctx, 1000, 2200), 0, 0, 0, 0};
        s.piece = 16 * (i % 2 ? pick(ctx, 1, s.cols / 16 + 1) : s.cols / 16 + 1);
        s.ldy = s.rows + pick(ctx, 0, 3) + 1;
        s.ldx = s.cols + pick(ctx, 0, 3);
        s.ldw = s.cols + pick(ctx, 0, 3);
        test_one(ctx, &s, i % 4 == 3);
    }
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

struct bench_matmul {
    struct shape s;
    float *x, *w, *y, *sums; /* all but x for each thread */
};

static void matmul_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_matmul *b = user;
    struct shape *s = &b->s;
    multiply(kernels, s, b->y + index * s->tokens * s->rows,
             b->sums + index * s->tokens * s->rows * 16, b->x, b->w + index * s->rows * s->cols);
}

/* The caller's pattern: a group of unpacked rows against all tokens of a chunk. */
static void bench_shape(struct context *ctx, size_t tokens, size_t rows, size_t cols,
                        size_t threads)
{
    struct bench_matmul b = {.s = {tokens, rows, cols, rows, cols, cols, 1024}};
    char shape[32];
    b.x = rw_alloc_aligned(tokens * cols * sizeof(float), 1);
    b.w = rw_alloc_aligned(rows * cols * threads * sizeof(float), 1);
    b.y = rw_alloc_aligned(tokens * rows * threads * sizeof(float), 1);
    b.sums = rw_alloc_aligned(tokens * rows * threads * 16 * sizeof(float), 1);
    if (expect(ctx, b.x && b.w && b.y && b.sums, "no memory for the benchmark")) {
        double flops = 2.0 * (double)(tokens * rows * cols * threads);
        struct work work = {matmul_part, &b, 0, flops, 0, NULL};
        fill_floats(ctx, b.x, tokens * cols, false);
        fill_floats(ctx, b.w, rows * cols * threads, false);
        snprintf(shape, sizeof shape, "T%zu R%zu K%zu", tokens, rows, cols);
        bench(ctx, shape, &work);
    }
    rw_free(b.x);
    rw_free(b.w);
    rw_free(b.y);
    rw_free(b.sums);
}

static void bench_matmul(struct context *ctx)
{
    static const size_t tokens[] = {2, 16, 64, 128, 256}, cols[] = {768, 2048, 4096, 8192};
    for (size_t k = 0; k < 4; k++)
        for (size_t t = 0; t < 5; t++)
            bench_shape(ctx, tokens[t], 64, cols[k], bench_threads());
}

void register_matmul(void)
{
    register_kernel("matmul", ENTRY(matmul), RWKV_DTYPE_F32, test_matmul, bench_matmul);
}
