/* SPDX-License-Identifier: Apache-2.0 */
/* What an optimizer does with gradients: their norm, and a step of AdamW. */
#include <math.h>

#include "kernels/ref/ref_int.h"

static RW_SUM_SQUARES_FN(sum_squares_ref)
{
    double sum[LANES] = {0};
    for (size_t i = 0; i < n; i++)
        sum[i % LANES] += (double)x[i] * (double)x[i];
    for (size_t half = LANES / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            sum[j] += sum[j + half];
    return sum[0];
}

static RW_ADAMW_FN(adamw_ref)
{
    for (size_t i = 0; i < n; i++) {
        float q = g[i] * step->scale;
        m[i] = fmaf(step->beta1, m[i], step->rest1 * q);
        v[i] = fmaf(step->beta2, v[i], step->rest2 * q * q);
        float way = m[i] * step->inverse_c1 / (sqrtf(v[i] * step->inverse_c2) + step->eps);
        p[i] = fmaf(-step->lr, fmaf(step->decay, p[i], way), p[i]);
    }
}

void rw_ref_optimizer(struct rw_kernels *kernels)
{
    kernels->sum_squares = sum_squares_ref;
    kernels->adamw = adamw_ref;
}
