/* SPDX-License-Identifier: Apache-2.0 */
/* Loops that measure the machine. Body for one instruction set; see vec/base.h. */
#define CHAINS 12 /* independent sums: more than latency × rate */

#define PAGE ((size_t)4096)

typedef uint64_t words __attribute__((vector_size(LANES * 4), aligned(1), may_alias));

/* The fastest pattern found: four pages side by side while the next four are fetched. */
static RW_PROBE_READ_FN(VEC_NAME(probe_read))
{
    const uint8_t *bytes = p;
    words sum[4] = {{0}};
    uint64_t total = 0;
    for (; n >= 4 * PAGE; n -= 4 * PAGE, bytes += 4 * PAGE) {
        for (size_t i = 0; i < PAGE; i += sizeof *sum)
            EACH (j, 4) {
                prefetch(bytes + j * PAGE + i, 4 * PAGE);
                sum[j] += *(const words *)(bytes + j * PAGE + i);
            }
    }
    sum[0] += sum[1] + sum[2] + sum[3];
    for (size_t j = 0; j < LANES / 2; j++)
        total += sum[0][j];
    for (uint64_t word; n >= sizeof word; n -= sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        total += word;
    }
    return total;
}

/* The factors go through volatile, so that nothing can be worked out beforehand; the chains begin
 * with different values, or the compiler would see that they are one. */
static RW_PROBE_OPS_FN(VEC_NAME(probe_fma))
{
    volatile float factor = 0.999f, term = 0.001f;
    vf acc[CHAINS], f = v_set(factor), c = v_set(term);
    EACH (j, CHAINS)
        acc[j] = v_set((float)j * factor);
    for (size_t i = 0; i < iterations; i++)
        EACH (j, CHAINS)
            acc[j] = v_fma(acc[j], f, c);
    EACH (j, CHAINS - 1)
        acc[0] = v_add(acc[0], acc[j + 1]);
    *ops = iterations * CHAINS * LANES * 2;
    return (double)v_sum(acc[0]);
}

static void put_probe(struct rw_kernels *kernels)
{
    kernels->probe_read = VEC_NAME(probe_read);
    kernels->probe_fma = VEC_NAME(probe_fma);
}
