/* SPDX-License-Identifier: Apache-2.0 */
/* Layer norm in two passes: first the mean, then the mean square of the differences to it. */
#include <math.h>

#include "kernels/ref/ref_int.h"

static RW_LAYER_NORM_FN(layer_norm_ref)
{
    float sum[LANES] = {0}, square[LANES] = {0};
    for (size_t i = 0; i < n; i++)
        sum[i % LANES] += x[i];
    float mean = lanes_sum(sum) / (float)n;
    for (size_t i = 0; i < n; i++)
        square[i % LANES] += (x[i] - mean) * (x[i] - mean);
    float scale = 1.0f / sqrtf(lanes_sum(square) / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
}

void rw_ref_norm(struct rw_kernels *kernels)
{
    kernels->layer_norm = layer_norm_ref;
}
