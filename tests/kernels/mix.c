/* SPDX-License-Identifier: Apache-2.0 */
/* The token shift, to the last bit. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "harness.h"

#define ROUNDS 60
#define MOST 6 /* outputs */

static void test_mix(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = pick(ctx, 0, 120), n_mix = pick(ctx, 0, MOST);
        bool hostile = round % 3 == 0;
        struct buffer x = floats_random(ctx, n, hostile), prev = floats_random(ctx, n, hostile);
        struct buffer mu[MOST], out[MOST];
        const float *mu_at[MOST];
        float *out_at[MOST];
        for (size_t i = 0; i < MOST; i++) {
            mu[i] = floats_random(ctx, n, hostile);
            out[i] = floats_new(ctx, n);
            mu_at[i] = floats(mu[i]);
            out_at[i] = floats(out[i]);
        }
        ctx->kernels->mix(out_at, floats(x), floats(prev), mu_at, n_mix, n);
        for (size_t i = 0; i < n_mix; i++)
            for (size_t c = 0; c < n; c++) {
                float now = floats(x)[c], step = floats(prev)[c] - now, m = mu_at[i][c];
                float want = ctx->fused ? fmaf(step, m, now) : now + step * m;
                expect(ctx, same_bits(out_at[i][c], want), "[%zu][%zu]: want %a, found %a", i, c,
                       (double)want, (double)out_at[i][c]);
            }
        for (size_t i = 0; i < MOST; i++) {
            expect(ctx, buffer_intact(&out[i]), "wrote outside, n %zu", n);
            buffer_free(&mu[i]);
            buffer_free(&out[i]);
        }
        buffer_free(&x);
        buffer_free(&prev);
    }
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define BENCH_N 2048

static void mix_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    float *x = user, *out[MOST];
    const float *mu[MOST];
    for (size_t i = 0; i < MOST; i++) {
        out[i] = x + (2 + i) * BENCH_N;
        mu[i] = x + (8 + i) * BENCH_N;
    }
    if (index == 0)
        kernels->mix(out, x, x + BENCH_N, mu, MOST, BENCH_N);
}

static void bench_mix(struct context *ctx)
{
    float *x = rw_alloc_aligned(14 * BENCH_N * sizeof *x, 1);
    struct work work = {mix_part, x, 0, 0, MOST * BENCH_N, "element"};
    if (expect(ctx, x != NULL, "no memory for the benchmark")) {
        fill_floats(ctx, x, 14 * BENCH_N, false);
        bench(ctx, "6 x [2048]", &work);
    }
    rw_free(x);
}

void register_mix(void)
{
    register_kernel("mix", ENTRY(mix), RWKV_DTYPE_F32, test_mix, bench_mix);
}
