/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix times matrix in f32: one dot product in 16 lanes for each output. */
#include <string.h>

#include "kernels/ref/ref_int.h"

static RW_MATMUL_FN(matmul_ref)
{
    for (size_t t = 0; t < tokens; t++) {
        for (size_t r = 0; r < rows; r++) {
            float acc[LANES] = {0};
            float *saved = sums + (t * rows + r) * LANES;
            if (!first)
                memcpy(acc, saved, sizeof acc);
            lanes_dot(acc, w + r * ldw, x + t * ldx, cols);
            if (last)
                y[t * ldy + r] = lanes_sum(acc);
            else
                memcpy(saved, acc, sizeof acc);
        }
    }
}

void rw_ref_matmul(struct rw_kernels *kernels)
{
    kernels->matmul = matmul_ref;
}
