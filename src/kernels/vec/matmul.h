/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix times matrix in f32. Body for one instruction set; see vec/base.h. */
#define OPERAND_SIZE sizeof(float)
#define OPERAND_STEP LANES
typedef vf operands;

VEC operands operand_load(const void *p)
{
    return v_load(p);
}

VEC operands operand_load_part(const void *p, size_t n)
{
    return v_load_part(p, n);
}

VEC vf operand_dot(operands w, operands x, vf sum)
{
    return v_fma(w, x, sum);
}

#include "kernels/vec/tile.h"

static RW_MATMUL_FN(VEC_NAME(matmul))
{
    multiply(piece, y, sums, x, w);
}

static void put_matmul(struct rw_kernels *kernels)
{
    kernels->matmul = VEC_NAME(matmul);
}
