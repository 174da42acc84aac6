/* SPDX-License-Identifier: Apache-2.0 */
/* layer_norm against a computation in double. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "harness.h"

#define ROUNDS 60

/* The error of x − mean is that of the largest |x|; it is then scaled like the value. */
static void check_norm(struct context *ctx, const float *y, const float *x, const float *weight,
                       const float *bias, float eps, size_t n)
{
    double mean = 0, var = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        mean += (double)x[i] / (double)n;
        largest = fmax(largest, fabs((double)x[i]));
    }
    for (size_t i = 0; i < n; i++)
        var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    double scale = 1 / sqrt(var + (double)eps);
    for (size_t i = 0; i < n; i++) {
        double w = (double)weight[i], b = (double)bias[i];
        double want = ((double)x[i] - mean) * scale * w + b;
        double magnitude = (largest + fabs((double)x[i])) * scale * fabs(w) + fabs(b);
        expect(ctx, close_enough(y[i], want, 4, n, magnitude), "%zu of %zu: want %g, found %g", i,
               n, want, (double)y[i]);
    }
}

static void test_norm(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = pick(ctx, 1, 300);
        bool hostile = i % 5 == 4, in_place = i % 2;
        struct buffer x = floats_random(ctx, n, hostile), w = floats_random(ctx, n, hostile);
        struct buffer b = floats_random(ctx, n, hostile), y = floats_new(ctx, n);
        float *copy = malloc(n * sizeof *copy), offset = (float)pick(ctx, 0, 30);
        for (size_t k = 0; k < n; k++)
            copy[k] = floats(x)[k] += offset;
        float *to = in_place ? floats(x) : floats(y);
        ctx->kernels->layer_norm(to, floats(x), floats(w), floats(b), 1e-5f, n);
        if (!hostile)
            check_norm(ctx, to, copy, floats(w), floats(b), 1e-5f, n);
        expect(ctx, buffer_intact(&y) && buffer_intact(&x), "wrote outside, n %zu", n);
        free(copy);
        buffer_free(&x);
        buffer_free(&w);
        buffer_free(&b);
        buffer_free(&y);
    }
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define BENCH_N 2048

static void norm_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    float *x = user;
    if (index == 0)
        kernels->layer_norm(x + 3 * BENCH_N, x, x + BENCH_N, x + 2 * BENCH_N, 1e-5f, BENCH_N);
}

static void bench_norm(struct context *ctx)
{
    float *x = rw_alloc_aligned(4 * BENCH_N * sizeof *x, 1);
    struct work work = {norm_part, x, 0, 0, BENCH_N, "element"};
    if (expect(ctx, x != NULL, "no memory for the benchmark")) {
        fill_floats(ctx, x, 4 * BENCH_N, false);
        bench(ctx, "[2048]", &work);
    }
    rw_free(x);
}

void register_norm(void)
{
    register_kernel("layer_norm", ENTRY(layer_norm), RWKV_DTYPE_F32, test_norm, bench_norm);
}
