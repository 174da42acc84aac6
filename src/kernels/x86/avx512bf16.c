/* SPDX-License-Identifier: Apache-2.0 */
/* What AVX-512 BF16 does better than AVX-512 with VNNI: products of bf16. */
#include "kernels/x86/vec_avx512.h"

#include <string.h>

#define BF16_CHAINS 12 /* independent sums: more than latency × rate */

/* The factors go through volatile, so that nothing can be worked out beforehand. */
static RW_PROBE_OPS_FN(probe_bf16_avx512bf16)
{
    volatile uint16_t factor = 0x3c00; /* 2⁻⁷ */
    vf acc[BF16_CHAINS];
    __m512i pairs = _mm512_set1_epi16((short)factor);
    __m512bh a;
    memcpy(&a, &pairs, sizeof a);
    EACH (j, BF16_CHAINS)
        acc[j] = v_set((float)j + 1);
    for (size_t i = 0; i < iterations; i++)
        EACH (j, BF16_CHAINS)
            acc[j] = _mm512_dpbf16_ps(acc[j], a, a);
    EACH (j, BF16_CHAINS - 1)
        acc[0] = v_add(acc[0], acc[j + 1]);
    *ops = iterations * BF16_CHAINS * LANES * 2 * 2;
    return (double)v_sum(acc[0]);
}

void rw_kernels_avx512bf16(struct rw_kernels *kernels)
{
    kernels->probe_bf16 = probe_bf16_avx512bf16;
}
