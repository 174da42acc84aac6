/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of weights to f32: tensor/convert.c by another name, and the same with a transposition. */
#include "kernels/ref/ref_int.h"
#include "tensor/convert.h"
#include "tensor/dtype.h"

#define STRIP 64 /* elements converted before they are spread over the rows */

static inline void unpack_t(rwkv_dtype dtype, float *to, const void *w, size_t rows, size_t cols,
                            size_t ld, size_t stride)
{
    size_t size = rw_dtype(dtype)->bytes;
    float strip[STRIP];
    for (size_t k = 0; k < cols; k++) {
        for (size_t r = 0; r < rows; r += STRIP) {
            size_t n = rows - r < STRIP ? rows - r : STRIP;
            rw_to_f32(dtype, strip, (const uint8_t *)w + k * stride + r * size, n);
            for (size_t i = 0; i < n; i++)
                to[(r + i) * ld + k] = strip[i];
        }
    }
}

#define UNPACK(dtype, suffix)                  \
    static RW_UNPACK_FN(unpack_##suffix##_ref) \
    {                                          \
        rw_to_f32(dtype, to, from, n);         \
    }
#define UNPACK_T(dtype, suffix)                         \
    static RW_UNPACK_T_FN(unpack_t_##suffix##_ref)      \
    {                                                   \
        unpack_t(dtype, to, w, rows, cols, ld, stride); \
    }

UNPACK(RWKV_DTYPE_F32, f32)
UNPACK(RWKV_DTYPE_F16, f16)
UNPACK(RWKV_DTYPE_BF16, bf16)
UNPACK(RWKV_DTYPE_Q4_0, q4_0)
UNPACK(RWKV_DTYPE_Q4_1, q4_1)
UNPACK(RWKV_DTYPE_Q5_0, q5_0)
UNPACK(RWKV_DTYPE_Q5_1, q5_1)
UNPACK(RWKV_DTYPE_Q8_0, q8_0)
UNPACK(RWKV_DTYPE_Q2_K, q2_k)
UNPACK(RWKV_DTYPE_Q3_K, q3_k)
UNPACK(RWKV_DTYPE_Q4_K, q4_k)
UNPACK(RWKV_DTYPE_Q5_K, q5_k)
UNPACK(RWKV_DTYPE_Q6_K, q6_k)
UNPACK(RWKV_DTYPE_IQ4_NL, iq4_nl)
UNPACK(RWKV_DTYPE_IQ4_XS, iq4_xs)
UNPACK_T(RWKV_DTYPE_F32, f32)
UNPACK_T(RWKV_DTYPE_F16, f16)
UNPACK_T(RWKV_DTYPE_BF16, bf16)

void rw_ref_unpack(struct rw_kernels *kernels)
{
    kernels->unpack[RWKV_DTYPE_F32] = unpack_f32_ref;
    kernels->unpack[RWKV_DTYPE_F16] = unpack_f16_ref;
    kernels->unpack[RWKV_DTYPE_BF16] = unpack_bf16_ref;
    kernels->unpack[RWKV_DTYPE_Q4_0] = unpack_q4_0_ref;
    kernels->unpack[RWKV_DTYPE_Q4_1] = unpack_q4_1_ref;
    kernels->unpack[RWKV_DTYPE_Q5_0] = unpack_q5_0_ref;
    kernels->unpack[RWKV_DTYPE_Q5_1] = unpack_q5_1_ref;
    kernels->unpack[RWKV_DTYPE_Q8_0] = unpack_q8_0_ref;
    kernels->unpack[RWKV_DTYPE_Q2_K] = unpack_q2_k_ref;
    kernels->unpack[RWKV_DTYPE_Q3_K] = unpack_q3_k_ref;
    kernels->unpack[RWKV_DTYPE_Q4_K] = unpack_q4_k_ref;
    kernels->unpack[RWKV_DTYPE_Q5_K] = unpack_q5_k_ref;
    kernels->unpack[RWKV_DTYPE_Q6_K] = unpack_q6_k_ref;
    kernels->unpack[RWKV_DTYPE_IQ4_NL] = unpack_iq4_nl_ref;
    kernels->unpack[RWKV_DTYPE_IQ4_XS] = unpack_iq4_xs_ref;
    kernels->unpack_t[RWKV_DTYPE_F32] = unpack_t_f32_ref;
    kernels->unpack_t[RWKV_DTYPE_F16] = unpack_t_f16_ref;
    kernels->unpack_t[RWKV_DTYPE_BF16] = unpack_t_bf16_ref;
}
