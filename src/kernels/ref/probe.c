/* SPDX-License-Identifier: Apache-2.0 */
/* Loops that do nothing but read memory, or nothing but multiply and add, to measure the machine.
 */
#include <string.h>

#include "kernels/ref/ref_int.h"

#define CHAINS 8 /* independent vectors, so that latency does not show */

static RW_PROBE_READ_FN(probe_read_ref)
{
    const uint8_t *bytes = p;
    uint64_t sum[8] = {0}, words[8];
    size_t i = 0;
    for (; i + sizeof words <= n; i += sizeof words) {
        memcpy(words, bytes + i, sizeof words);
        for (size_t j = 0; j < 8; j++)
            sum[j] += words[j];
    }
    for (; i + sizeof *words <= n; i += sizeof *words) {
        memcpy(words, bytes + i, sizeof *words);
        sum[0] += words[0];
    }
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

/* The factors go through volatile, so that nothing can be worked out beforehand; the chains begin
 * with different values, or the compiler would see that they are one. */
static RW_PROBE_OPS_FN(probe_fma_ref)
{
    volatile float factor = 0.999f, term = 0.001f;
    float acc[CHAINS][4], f = factor, c = term, total = 0;
    for (size_t j = 0; j < CHAINS; j++)
        for (size_t lane = 0; lane < 4; lane++)
            acc[j][lane] = (float)(4 * j + lane) * f;
    for (size_t i = 0; i < iterations; i++)
        for (size_t j = 0; j < CHAINS; j++)
            for (size_t lane = 0; lane < 4; lane++)
                acc[j][lane] = acc[j][lane] * f + c;
    for (size_t j = 0; j < CHAINS; j++)
        for (size_t lane = 0; lane < 4; lane++)
            total += acc[j][lane];
    *ops = iterations * CHAINS * 4 * 2;
    return (double)total;
}

void rw_ref_probe(struct rw_kernels *kernels)
{
    kernels->probe_read = probe_read_ref;
    kernels->probe_fma = probe_fma_ref;
}
