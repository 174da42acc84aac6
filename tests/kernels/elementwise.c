/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tanh, sigmoid, relu2 and add. The first two are compared with the double functions of the C
 * library in units in the last place, over samples of all floats, or (--exhaustive) over every one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "harness.h"

#define ROUNDS 60
#define SAMPLES ((size_t)1 << 20)
#define BATCH 4096
#define MOST_ULPS 2.0

typedef void (*map_fn)(float *x, size_t n);

static map_fn map_of(const struct context *ctx)
{
    switch (ctx->name[0]) {
    case 't':
        return ctx->kernels->tanh;
    case 's':
        return ctx->kernels->sigmoid;
    default:
        return ctx->kernels->relu2;
    }
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Sizes, places, canaries; and an element's value does not depend on where it stands. */
static void test_places(struct context *ctx)
{
    map_fn map = map_of(ctx);
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = pick(ctx, 0, 100);
        struct buffer x = floats_random(ctx, n, i % 2);
        float *copy = malloc((n + 1) * sizeof *copy);
        memcpy(copy, floats(x), n * sizeof *copy);
        map(floats(x), n);
        for (size_t k = 0; k < n; k++) {
            float before = copy[k];
            map(copy + k, 1);
            expect(ctx, same_bits(copy[k], floats(x)[k]), "%a at %zu of %zu gives %a, alone %a",
                   (double)before, k, n, (double)floats(x)[k], (double)copy[k]);
        }
        expect(ctx, buffer_intact(&x), "wrote outside, n %zu", n);
        free(copy);
        buffer_free(&x);
    }
}

/* Compare a batch of floats given by their bits; the largest error is kept. */
static void measure(struct context *ctx, const uint32_t *bits, double (*exact)(double),
                    double *worst, float *worst_at)
{
    static float x[BATCH];
    memcpy(x, bits, sizeof x);
    map_of(ctx)(x, BATCH);
    for (size_t i = 0; i < BATCH; i++) {
        float before = rw_bits_to_f32(bits[i]);
        double error = ulps(x[i], exact((double)before));
        if (error > *worst) {
            *worst = error;
            *worst_at = before;
        }
    }
}

static void test_accuracy(struct context *ctx, double (*exact)(double))
{
    static uint32_t bits[BATCH];
    static const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, -NAN, 1e-45f, -1e-45f};
    uint64_t total = ctx->exhaustive ? (uint64_t)1 << 32 : SAMPLES;
    double worst = 0;
    float worst_at = 0;
    for (uint64_t at = 0; at < total; at += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            bits[i] = ctx->exhaustive ? (uint32_t)(at + i) : (uint32_t)rw_rng_u64(&ctx->rng);
        for (size_t i = 0; !ctx->exhaustive && i < BATCH / 2; i++) /* where something happens */
            bits[i] = rw_f32_to_bits((float)((rw_rng_uniform(&ctx->rng) - 0.5) * 220));
        if (at == 0)
            memcpy(bits, special, sizeof special);
        measure(ctx, bits, exact, &worst, &worst_at);
    }
    expect(ctx, worst <= MOST_ULPS, "%.3f units in the last place at %a", worst, (double)worst_at);
    if (ctx->exhaustive)
        printf("%s %s: at most %.3f units in the last place, at %a\n", ctx->isa, ctx->name, worst,
               (double)worst_at);
}

static void test_tanh(struct context *ctx)
{
    test_places(ctx);
    test_accuracy(ctx, tanh);
}

static void test_sigmoid(struct context *ctx)
{
    test_places(ctx);
    test_accuracy(ctx, sigmoid);
}

static void test_relu2(struct context *ctx)
{
    test_places(ctx);
    for (size_t i = 0; i < SAMPLES; i++) {
        float x = rw_bits_to_f32((uint32_t)rw_rng_u64(&ctx->rng)), y = x;
        float want = x < 0 ? 0 : x * x;
        ctx->kernels->relu2(&y, 1);
        expect(ctx, same_bits(y, want), "%a: want %a, found %a", (double)x, (double)want,
               (double)y);
    }
}

static void test_add(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = pick(ctx, 0, 100);
        struct buffer x = floats_random(ctx, n, i % 2), y = floats_random(ctx, n, i % 2);
        float *want = malloc((n + 1) * sizeof *want);
        for (size_t k = 0; k < n; k++)
            want[k] = floats(y)[k] + floats(x)[k];
        ctx->kernels->add(floats(y), floats(x), n);
        for (size_t k = 0; k < n; k++)
            expect(ctx, same_bits(floats(y)[k], want[k]), "%zu: want %a, found %a", k,
                   (double)want[k], (double)floats(y)[k]);
        expect(ctx, buffer_intact(&y), "wrote outside, n %zu", n);
        free(want);
        buffer_free(&x);
        buffer_free(&y);
    }
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define BENCH_N 2048

struct bench_map {
    struct context *ctx;
    _Alignas(64) float x[BENCH_N], y[BENCH_N];
};

static void map_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_map *b = user;
    struct context ctx = {.name = b->ctx->name, .kernels = kernels};
    if (index)
        return;
    memcpy(b->y, b->x, sizeof b->y);
    if (ctx.name[0] == 'a')
        kernels->add(b->y, b->x, BENCH_N);
    else
        map_of (&ctx)(b->y, BENCH_N);
}

static void bench_map(struct context *ctx)
{
    static struct bench_map b;
    struct work work = {map_part, &b, 0, 0, BENCH_N, "element"};
    b.ctx = ctx;
    fill_floats(ctx, b.x, BENCH_N, false);
    bench(ctx, "[2048]", &work);
}

void register_elementwise(void)
{
    register_kernel("tanh", ENTRY(tanh), RWKV_DTYPE_F32, test_tanh, bench_map);
    register_kernel("sigmoid", ENTRY(sigmoid), RWKV_DTYPE_F32, test_sigmoid, bench_map);
    register_kernel("relu2", ENTRY(relu2), RWKV_DTYPE_F32, test_relu2, bench_map);
    register_kernel("add", ENTRY(add), RWKV_DTYPE_F32, test_add, bench_map);
}
