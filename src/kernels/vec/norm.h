/* SPDX-License-Identifier: Apache-2.0 */
/* Layer norm, and the two sums it shares with the group norm of wkv7.h. Body for one instruction
 * set; see vec/base.h. */
#include <math.h>

VEC float mean_of(const float *x, size_t n)
{
    vf acc = v_zero();
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        acc = v_add(acc, v_load(x + i));
    if (i < n)
        acc = v_add(acc, v_load_part(x + i, n - i));
    return v_sum(acc) / (float)n;
}

/* 1 / sqrt(var + eps) */
VEC float inverse_deviation(const float *x, float mean, float eps, size_t n)
{
    vf acc = v_zero(), m = v_set(mean);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf d = v_sub(v_load(x + i), m);
        acc = v_fma(d, d, acc);
    }
    if (i < n) {
        vf d = v_keep(v_sub(v_load_part(x + i, n - i), m), n - i);
        acc = v_fma(d, d, acc);
    }
    return 1.0f / sqrtf(v_sum(acc) / (float)n + eps);
}

static RW_LAYER_NORM_FN(VEC_NAME(layer_norm))
{
    float mean = mean_of(x, n);
    vf m = v_set(mean), scale = v_set(inverse_deviation(x, mean, eps, n));
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf z = v_mul(v_sub(v_load(x + i), m), scale);
        v_store(y + i, v_fma(z, v_load(weight + i), v_load(bias + i)));
    }
    if (i < n) {
        vf z = v_mul(v_sub(v_load_part(x + i, n - i), m), scale);
        z = v_fma(z, v_load_part(weight + i, n - i), v_load_part(bias + i, n - i));
        v_store_part(y + i, z, n - i);
    }
}

static void put_norm(struct rw_kernels *kernels)
{
    kernels->layer_norm = VEC_NAME(layer_norm);
}
