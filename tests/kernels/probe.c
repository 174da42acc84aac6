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

static void test_ops(struct context *ctx, RW_PROBE_OPS_FN((*probe)))
{
    size_t one = 0, many = 0;
    probe(1, &one);
    double sum = probe(1000, &many);
    expect(ctx, one > 0 && many == 1000 * one, "operations are not counted");
    expect(ctx, isfinite(sum) && sum != 0, "the sum is %g", sum);
}

static void test_probe_fma(struct context *ctx)
{
    test_ops(ctx, ctx->kernels->probe_fma);
}

static void test_probe_bf16(struct context *ctx)
{
    test_ops(ctx, ctx->kernels->probe_bf16);
}

static void test_probe_int8(struct context *ctx)
{
    test_ops(ctx, ctx->kernels->probe_int8);
}

void register_probe(void)
{
    register_kernel("probe_read", ENTRY(probe_read), RWKV_DTYPE_F32, test_probe_read, NULL);
    register_kernel("probe_fma", ENTRY(probe_fma), RWKV_DTYPE_F32, test_probe_fma, NULL);
    register_optional("probe_bf16", ENTRY(probe_bf16), RWKV_DTYPE_BF16, test_probe_bf16, NULL);
    register_optional("probe_int8", ENTRY(probe_int8), RWKV_DTYPE_Q8_0, test_probe_int8, NULL);
}
