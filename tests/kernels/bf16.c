/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products in bf16: the order and the roundings that kernels.h states, to the bit, from matvec and
 * matmul alike, and near the exact product of the rounded inputs.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/half.h"
#include "harness.h"

#define ROUNDS 60
#define UNTOUCHED 12345.0f

static float no_denormal(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

static float value(uint16_t bits)
{
    return no_denormal(rw_bf16_to_f32(bits));
}

static uint16_t rounded(float x)
{
    return rw_f32_to_bf16(no_denormal(x));
}

static float add_product(float sum, uint16_t w, uint16_t x)
{
    return no_denormal(fmaf(value(w), value(x), no_denormal(sum)));
}

static float sum_in_pairs(const uint16_t *w, const uint16_t *x, size_t n)
{
    float lane[16] = {0};
    for (size_t k = 0; k < (n + 31) / 32 * 32; k += 2) {
        float *acc = &lane[k / 2 % 16];
        *acc = add_product(*acc, k + 1 < n ? w[k + 1] : 0, k + 1 < n ? x[k + 1] : 0);
        *acc = add_product(*acc, k < n ? w[k] : 0, k < n ? x[k] : 0);
    }
    for (size_t half = 8; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

static double exact(const uint16_t *w, const uint16_t *x, size_t n, double *magnitude)
{
    double sum = 0;
    *magnitude = 0;
    for (size_t k = 0; k < n; k++) {
        double product = (double)value(w[k]) * (double)value(x[k]);
        sum += product;
        *magnitude += fabs(product);
    }
    return sum;
}

/* --- rounding
 * ------------------------------------------------------------------------------------- */

static void test_round(struct context *ctx)
{
    static const float special[] = {0.0f,   -0.0f,     1e-40f,    -1e-40f,       0x1p-126f,
                                    -1e38f, INFINITY,  -INFINITY, NAN,           3.4028235e38f,
                                    1.0f,   0x1.01p0f, 0x1.03p0f, 0x1.010002p0f, 0x1.fffffep-127f};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        uint16_t got, want = rounded(special[i]);
        ctx->kernels->round_bf16(&got, &special[i], 1);
        expect(ctx, same_bits(rw_bf16_to_f32(got), rw_bf16_to_f32(want)),
               "%a: want %04x, found %04x", (double)special[i], want, got);
    }
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = pick(ctx, 0, 100);
        struct buffer x = floats_random(ctx, n, i % 2), to = buffer_new(ctx, n * 2, 1);
        ctx->kernels->round_bf16((uint16_t *)(void *)to.data, floats(x), n);
        for (size_t k = 0; k < n; k++) {
            uint16_t got, want = rounded(floats(x)[k]);
            memcpy(&got, to.data + 2 * k, sizeof got);
            expect(ctx, same_bits(rw_bf16_to_f32(got), rw_bf16_to_f32(want)),
                   "%a: want %04x, found %04x", (double)floats(x)[k], want, got);
        }
        expect(ctx, buffer_intact(&to), "wrote outside the output");
        buffer_free(&x);
        buffer_free(&to);
    }
}

/* --- products
 * ------------------------------------------------------------------------------------- */

struct shape {
    size_t tokens, rows, cols, ldy, ldx, ldw;
    size_t piece; /* columns at a time */
};

static size_t extent(size_t n, size_t cols, size_t ld)
{
    return n ? (n - 1) * ld + cols : 0;
}

/* n values: plain ones, or any bits at all. */
static struct buffer halves(struct context *ctx, size_t n, bool hostile)
{
    struct buffer b = buffer_new(ctx, n * 2, 2);
    fill_weights(ctx, RWKV_DTYPE_BF16, b.data, n, hostile);
    return b;
}

static const uint16_t *bf16(struct buffer b)
{
    return (const uint16_t *)(const void *)b.data;
}

static void multiply(const struct rw_kernels *kernels, const struct shape *s, float *y, float *sums,
                     const uint16_t *x, const uint16_t *w)
{
    struct rw_matmul_piece p = {s->tokens, s->rows, 0, s->ldy, s->ldx, s->ldw, true, false};
    for (size_t k = 0; !p.last; k += p.cols, p.first = false) {
        p.cols = s->cols - k < s->piece ? s->cols - k : s->piece;
        p.last = k + p.cols == s->cols;
        p.next = k % 64 ? NULL : w + k + p.cols; /* fetched, past the end too, but never read */
        p.next_stride = s->ldw * sizeof *w;
        kernels->matmul_bf16(y, sums, x + k, w + k, &p);
    }
}

static void check(struct context *ctx, const struct shape *s, const uint16_t *w, const uint16_t *x,
                  float got, bool hostile)
{
    float want = sum_in_pairs(w, x, s->cols);
    double magnitude, near = exact(w, x, s->cols, &magnitude);
    expect(ctx, same_bits(got, want), "order: %zu x %zu x %zu: want %a, found %a", s->tokens,
           s->rows, s->cols, (double)want, (double)got);
    if (!hostile)
        expect(ctx, close_enough(got, near, 4, s->cols, magnitude),
               "%zu x %zu x %zu: want %g, found %g", s->tokens, s->rows, s->cols, near,
               (double)got);
}

static struct shape random_shape(struct context *ctx, int round)
{
    struct shape s = {pick(ctx, 0, 31), pick(ctx, 0, 13), pick(ctx, 0, 250), 0, 0, 0, 0};
    if (round % 10 == 0)
        s.cols = pick(ctx, 1000, 2200);
    s.ldy = s.rows + pick(ctx, 0, 3) + 1;
    s.ldx = s.cols + pick(ctx, 0, 3);
    s.ldw = s.cols + pick(ctx, 0, 3);
    s.piece = 32 * pick(ctx, 1, s.cols / 32 + 1);
    return s;
}

static void test_matmul(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct shape s = random_shape(ctx, i);
        bool hostile = i % 4 == 3;
        struct buffer x = halves(ctx, extent(s.tokens, s.cols, s.ldx), hostile);
        struct buffer w = halves(ctx, extent(s.rows, s.cols, s.ldw), hostile);
        size_t n_y = extent(s.tokens, s.rows, s.ldy);
        struct buffer y = floats_new(ctx, n_y), sums = floats_new(ctx, s.tokens * s.rows * 16);
        for (size_t k = 0; k < n_y; k++)
            floats(y)[k] = UNTOUCHED;
        multiply(ctx->kernels, &s, floats(y), floats(sums), bf16(x), bf16(w));
        for (size_t t = 0; t < s.tokens; t++)
            for (size_t r = 0; r < s.rows; r++)
                check(ctx, &s, bf16(w) + r * s.ldw, bf16(x) + t * s.ldx, floats(y)[t * s.ldy + r],
                      hostile);
        for (size_t k = 0; k < n_y; k++)
            if (k % s.ldy >= s.rows)
                expect(ctx, floats(y)[k] == UNTOUCHED, "wrote between rows of y");
        expect(ctx, buffer_intact(&y), "wrote outside y");
        expect(ctx, buffer_intact(&sums), "wrote outside the sums");
        buffer_free(&x);
        buffer_free(&w);
        buffer_free(&y);
        buffer_free(&sums);
    }
}

static void test_matvec(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct shape s = random_shape(ctx, i);
        bool hostile = i % 4 == 3;
        struct buffer x = halves(ctx, s.cols, hostile), y = floats_new(ctx, s.rows);
        struct buffer w = halves(ctx, extent(s.rows, s.cols, s.ldw), hostile);
        ctx->kernels->matvec_bf16(floats(y), bf16(x), w.data, s.rows, s.cols, s.ldw * 2);
        for (size_t r = 0; r < s.rows; r++)
            check(ctx, &s, bf16(w) + r * s.ldw, bf16(x), floats(y)[r], hostile);
        expect(ctx, buffer_intact(&y), "wrote outside y");
        buffer_free(&x);
        buffer_free(&w);
        buffer_free(&y);
    }
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define BENCH_TOKENS 128
#define BENCH_ROWS 64
#define BENCH_COLS 2048

struct bench_bf16 {
    uint16_t *x, *w; /* w, y and sums for each thread */
    float *y, *sums;
};

static void matmul_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_bf16 *b = user;
    const struct shape s = {BENCH_TOKENS, BENCH_ROWS, BENCH_COLS, BENCH_ROWS,
                            BENCH_COLS,   BENCH_COLS, BENCH_COLS};
    size_t outputs = BENCH_TOKENS * BENCH_ROWS;
    multiply(kernels, &s, b->y + index * outputs, b->sums + index * outputs * 16, b->x,
             b->w + index * BENCH_ROWS * BENCH_COLS);
}

static void bench_matmul(struct context *ctx)
{
    size_t threads = bench_threads(), n_x = BENCH_TOKENS * BENCH_COLS;
    size_t n_w = BENCH_ROWS * BENCH_COLS * threads, n_y = BENCH_TOKENS * BENCH_ROWS * threads;
    struct bench_bf16 b = {.x = rw_alloc_aligned(n_x, 2),
                           .w = rw_alloc_aligned(n_w, 2),
                           .y = rw_alloc_aligned(n_y, sizeof(float)),
                           .sums = rw_alloc_aligned(n_y * 16, sizeof(float))};
    if (expect(ctx, b.x && b.w && b.y && b.sums, "no memory for the benchmark")) {
        struct work work = {.part = matmul_part,
                            .user = &b,
                            .ops = 2.0 * (double)(n_x * BENCH_ROWS * threads),
                            .no_ref = true,
                            .peak = PEAK_BF16};
        char shape[32];
        fill_weights(ctx, RWKV_DTYPE_BF16, (uint8_t *)b.x, n_x, false);
        fill_weights(ctx, RWKV_DTYPE_BF16, (uint8_t *)b.w, n_w, false);
        snprintf(shape, sizeof shape, "T%d R%d K%d", BENCH_TOKENS, BENCH_ROWS, BENCH_COLS);
        bench(ctx, shape, &work);
    }
    rw_free(b.x);
    rw_free(b.w);
    rw_free(b.y);
    rw_free(b.sums);
}

void register_bf16(void)
{
    register_optional("round_bf16", ENTRY(round_bf16), 0, test_round, NULL);
    register_optional("matvec_bf16", ENTRY(matvec_bf16), RWKV_DTYPE_BF16, test_matvec, NULL);
    register_optional("matmul_bf16", ENTRY(matmul_bf16), RWKV_DTYPE_BF16, test_matmul,
                      bench_matmul);
}
