/* SPDX-License-Identifier: Apache-2.0 */
/* Block types: which encoder, and the weights it is given. */
#include "tensor/quantize.h"

#include "tensor/dtype.h"
#include "tensor/quantize_int.h"

static const rw_quantize_fn encoders[RWKV_DTYPE_COUNT] = {
    [RWKV_DTYPE_Q4_0] = rw_quantize_q4_0,     [RWKV_DTYPE_Q4_1] = rw_quantize_q4_1,
    [RWKV_DTYPE_Q5_0] = rw_quantize_q5_0,     [RWKV_DTYPE_Q5_1] = rw_quantize_q5_1,
    [RWKV_DTYPE_Q8_0] = rw_quantize_q8_0,     [RWKV_DTYPE_Q2_K] = rw_quantize_q2_k,
    [RWKV_DTYPE_Q3_K] = rw_quantize_q3_k,     [RWKV_DTYPE_Q4_K] = rw_quantize_q4_k,
    [RWKV_DTYPE_Q5_K] = rw_quantize_q5_k,     [RWKV_DTYPE_Q6_K] = rw_quantize_q6_k,
    [RWKV_DTYPE_IQ4_NL] = rw_quantize_iq4_nl, [RWKV_DTYPE_IQ4_XS] = rw_quantize_iq4_xs,
};

/* The weights of a block over their largest, so that no sum of the search over- or underflows. */
static void scale_weights(float *to, const float *weights, size_t n)
{
    float most = 0;
    for (size_t i = 0; weights && i < n; i++)
        most = weights[i] > most ? weights[i] : most;
    bool usable = most > 0 && isfinite(most);
    for (size_t i = 0; i < n; i++)
        to[i] = !usable ? 1.0f : weights[i] > 0 ? weights[i] / most : 0.0f;
}

bool rw_quantize(rwkv_dtype dtype, void *to, const float *from, size_t n, const float *weights)
{
    const struct rw_dtype_info *info = rw_dtype(dtype);
    float scaled[RW_FIT_BLOCK];
    uint8_t *bytes = to;
    if (!encoders[dtype] || n % info->block)
        return false;
    scale_weights(scaled, NULL, info->block);
    for (size_t i = 0; i < n; i += info->block, bytes += info->bytes) {
        if (weights)
            scale_weights(scaled, weights + i, info->block);
        encoders[dtype](bytes, from + i, scaled);
    }
    return true;
}
