/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix times vector for every type of weight: a row is converted to f32 piece by piece, exactly,
 * and summed in 16 lanes. A piece is a multiple of both the lanes and every block, so cutting a row
 * into pieces does not change the order of its sum.
 */
#include <string.h>

#include "kernels/ref/ref_int.h"
#include "tensor/convert.h"
#include "tensor/dtype.h"

#define PIECE 512 /* elements converted at a time */
#define STRIP 64  /* outputs of the transposed product kept at a time */

static inline void matvec(rwkv_dtype dtype, float *y, const float *x, const void *w, size_t rows,
                          size_t cols, size_t stride)
{
    const struct rw_dtype_info *info = rw_dtype(dtype);
    float piece[PIECE];
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *row = (const uint8_t *)w + r * stride;
        float acc[LANES] = {0};
        for (size_t k = 0; k < cols; k += PIECE) {
            size_t n = cols - k < PIECE ? cols - k : PIECE;
            rw_to_f32(dtype, piece, row + k / info->block * info->bytes, n);
            lanes_dot(acc, piece, x + k, n);
        }
        y[r] = lanes_sum(acc);
    }
}

/* Outputs are independent of one another, so a strip of them is summed at once: acc[j] holds lane j
 * of every output of the strip. */
static inline void matvec_t(rwkv_dtype dtype, float *y, const float *x, const void *w, size_t rows,
                            size_t cols, size_t stride)
{
    size_t size = rw_dtype(dtype)->bytes;
    float acc[LANES][STRIP], piece[STRIP];
    for (size_t r = 0; r < rows; r += STRIP) {
        size_t n = rows - r < STRIP ? rows - r : STRIP;
        memset(acc, 0, sizeof acc);
        for (size_t k = 0; k < cols; k++) {
            rw_to_f32(dtype, piece, (const uint8_t *)w + k * stride + r * size, n);
            for (size_t i = 0; i < n; i++)
                acc[k % LANES][i] += piece[i] * x[k];
        }
        for (size_t half = LANES / 2; half; half /= 2)
            for (size_t j = 0; j < half; j++)
                for (size_t i = 0; i < n; i++)
                    acc[j][i] += acc[j + half][i];
        memcpy(y + r, acc[0], n * sizeof *y);
    }
}

#define MATVEC(dtype, suffix)                       \
    static RW_MATVEC_FN(matvec_##suffix##_ref)      \
    {                                               \
        matvec(dtype, y, x, w, rows, cols, stride); \
    }
#define MATVEC_T(dtype, suffix)                       \
    static RW_MATVEC_T_FN(matvec_t_##suffix##_ref)    \
    {                                                 \
        matvec_t(dtype, y, x, w, rows, cols, stride); \
    }

MATVEC(RWKV_DTYPE_F32, f32)
MATVEC(RWKV_DTYPE_F16, f16)
MATVEC(RWKV_DTYPE_BF16, bf16)
MATVEC(RWKV_DTYPE_Q4_0, q4_0)
MATVEC(RWKV_DTYPE_Q4_1, q4_1)
MATVEC(RWKV_DTYPE_Q5_0, q5_0)
MATVEC(RWKV_DTYPE_Q5_1, q5_1)
MATVEC(RWKV_DTYPE_Q8_0, q8_0)
MATVEC(RWKV_DTYPE_Q2_K, q2_k)
MATVEC(RWKV_DTYPE_Q3_K, q3_k)
MATVEC(RWKV_DTYPE_Q4_K, q4_k)
MATVEC(RWKV_DTYPE_Q5_K, q5_k)
MATVEC(RWKV_DTYPE_Q6_K, q6_k)
MATVEC(RWKV_DTYPE_IQ4_NL, iq4_nl)
MATVEC(RWKV_DTYPE_IQ4_XS, iq4_xs)
MATVEC_T(RWKV_DTYPE_F32, f32)
MATVEC_T(RWKV_DTYPE_F16, f16)
MATVEC_T(RWKV_DTYPE_BF16, bf16)

void rw_ref_matvec(struct rw_kernels *kernels)
{
    kernels->matvec[RWKV_DTYPE_F32] = matvec_f32_ref;
    kernels->matvec[RWKV_DTYPE_F16] = matvec_f16_ref;
    kernels->matvec[RWKV_DTYPE_BF16] = matvec_bf16_ref;
    kernels->matvec[RWKV_DTYPE_Q4_0] = matvec_q4_0_ref;
    kernels->matvec[RWKV_DTYPE_Q4_1] = matvec_q4_1_ref;
    kernels->matvec[RWKV_DTYPE_Q5_0] = matvec_q5_0_ref;
    kernels->matvec[RWKV_DTYPE_Q5_1] = matvec_q5_1_ref;
    kernels->matvec[RWKV_DTYPE_Q8_0] = matvec_q8_0_ref;
    kernels->matvec[RWKV_DTYPE_Q2_K] = matvec_q2_k_ref;
    kernels->matvec[RWKV_DTYPE_Q3_K] = matvec_q3_k_ref;
    kernels->matvec[RWKV_DTYPE_Q4_K] = matvec_q4_k_ref;
    kernels->matvec[RWKV_DTYPE_Q5_K] = matvec_q5_k_ref;
    kernels->matvec[RWKV_DTYPE_Q6_K] = matvec_q6_k_ref;
    kernels->matvec[RWKV_DTYPE_IQ4_NL] = matvec_iq4_nl_ref;
    kernels->matvec[RWKV_DTYPE_IQ4_XS] = matvec_iq4_xs_ref;
    kernels->matvec_t[RWKV_DTYPE_F32] = matvec_t_f32_ref;
    kernels->matvec_t[RWKV_DTYPE_F16] = matvec_t_f16_ref;
    kernels->matvec_t[RWKV_DTYPE_BF16] = matvec_t_bf16_ref;
}
