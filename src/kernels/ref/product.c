/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of outer products: the products of training. */
#include <math.h>

#include "base/half.h"
#include "kernels/ref/ref_int.h"

static float rounded(float x)
{
    return rw_bf16_to_f32(rw_f32_to_bf16(x));
}

/* Rows, or columns, one after the other. */
static RW_PRODUCT_PACK_FN(product_pack_ref)
{
    for (size_t r = 0; r < operand->n; r++)
        for (size_t i = 0; i < operand->depth; i++) {
            float x = from[r * operand->row + i * operand->step];
            to[r * operand->depth + i] = operand->bf16 ? rounded(x) : x;
        }
}

static RW_PRODUCT_FN(product_ref)
{
    const struct rw_product *p = product;
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t c = 0; c < p->cols; c++) {
            float sum = p->first ? 0 : out[r * p->ld + c];
            for (size_t i = 0; i < p->depth; i++)
                sum = fmaf(a[r * p->depth + i], b[c * p->depth + i], sum);
            out[r * p->ld + c] = sum;
        }
    }
}

void rw_ref_product(struct rw_kernels *kernels)
{
    kernels->product_pack = product_pack_ref;
    kernels->product = product_ref;
}
