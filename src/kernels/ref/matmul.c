/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix times matrix in f32: one dot product in 16 lanes for each output. */
#include <string.h>

#include "kernels/ref/ref_int.h"

static RW_MATMUL_FN(matmul_ref)
{
    for (size_t t = 0; t < piece->tokens; t++) {
        for (size_t r = 0; r < piece->rows; r++, sums += LANES) {
            float acc[LANES] = {0};
            if (!piece->first)
                memcpy(acc, sums, sizeof acc);
            lanes_dot(acc, w + r * piece->ldw, x + t * piece->ldx, piece->cols);
            if (piece->last)
                y[t * piece->ldy + r] = lanes_sum(acc);
            else
                memcpy(sums, acc, sizeof acc);
        }
    }
}

void rw_ref_matmul(struct rw_kernels *kernels)
{
    kernels->matmul = matmul_ref;
}
