/* SPDX-License-Identifier: Apache-2.0 */
/* The loops that measure the machine do what they say. */
#include <math.h>
#include <string.h>

#include "harness.h"

static void test_probe_read(struct context *ctx)
{
    for (int i = 0; i < 60; i++) {
        size_t n = pick(ctx, 0, 1) ? pick(ctx, 0, 2000) : pick(ctx, 0, 80000);
        struct buffer b = buffer_new(ctx, n, 1);
        uint64_t want = 0, word;
        for (size_t k = 0; k < n; k++)
            b.data[k] = (uint8_t)rw_rng_u64(&ctx->rng);
        for (size_t k = 0; k + sizeof word <= n; k += sizeof word) {
            memcpy(&word, b.data + k, sizeof word);
            want += word;
        }
        expect(ctx, ctx->kernels->probe_read(b.data, n) == want, "wrong sum of %zu bytes", n);
        buffer_free(&b);
    }
}

static void test_probe_fma(struct context *ctx)
{
    size_t one = 0, many = 0;
    ctx->kernels->probe_fma(1, &one);
    float sum = ctx->kernels->probe_fma(1000, &many);
    expect(ctx, one > 0 && many == 1000 * one, "operations are not counted");
    expect(ctx, isfinite(sum) && sum > 0, "the sum is %g", (double)sum);
}

void register_probe(void)
{
    register_kernel("probe_read", ENTRY(probe_read), RWKV_DTYPE_F32, test_probe_read, NULL);
    register_kernel("probe_fma", ENTRY(probe_fma), RWKV_DTYPE_F32, test_probe_fma, NULL);
}
