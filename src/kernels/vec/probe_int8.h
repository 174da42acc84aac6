/* SPDX-License-Identifier: Apache-2.0 */
/* The loop that measures dot products of bytes. Body for one instruction set; see vec/base.h. */
#define INT8_CHAINS 12 /* independent sums: more than latency × rate */

/* The compiler forgets what the bytes are before each product, or it would make one for all. */
static RW_PROBE_OPS_FN(VEC_NAME(probe_int8))
{
    static const int8_t some[LANES * 4] = {1, -1, 2, -2, 3, -3};
    const vi_same s = vi_broadcast(some);
    vi acc[INT8_CHAINS], u = vi_load(some);
    int32_t sums[LANES];
    double total = 0;
    EACH (j, INT8_CHAINS)
        acc[j] = u;
    for (size_t i = 0; i < iterations; i++)
        EACH (j, INT8_CHAINS) {
            VI_FORGET(u);
            acc[j] = vi_dot(acc[j], u, s, 0);
        }
    EACH (j, INT8_CHAINS) {
        vi_store(sums, acc[j]);
        for (size_t lane = 0; lane < LANES; lane++)
            total += sums[lane];
    }
    *ops = iterations * INT8_CHAINS * LANES * 4 * 2;
    return total;
}

static void put_probe_int8(struct rw_kernels *kernels)
{
    kernels->probe_int8 = VEC_NAME(probe_int8);
}
