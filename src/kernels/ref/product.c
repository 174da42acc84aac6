/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of outer products: the products of training. */
#include <math.h>

#include "base/half.h"
#include "kernels/ref/ref_int.h"

static float rounded(float x)
{
    return rw_bf16_to_f32(rw_f32_to_bf16(x));
}

static RW_PRODUCT_FN(product_ref)
{
    const struct rw_product *p = product;
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t c = 0; c < p->cols; c++) {
            float sum = p->first ? 0 : out[r * p->ld + c];
            for (size_t i = 0; i < p->depth; i++)
                sum = fmaf(a[i * p->a_depth + r * p->a_row], b[i * p->b_depth + c * p->b_col], sum);
            out[r * p->ld + c] = sum;
        }
    }
}

static RW_PRODUCT_FN(product_bf16_ref)
{
    const struct rw_product *p = product;
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t c = 0; c < p->cols; c++) {
            float sum = p->first ? 0 : out[r * p->ld + c];
            for (size_t i = 0; i < p->depth; i++)
                sum = fmaf(rounded(a[i * p->a_depth + r * p->a_row]),
                           rounded(b[i * p->b_depth + c * p->b_col]), sum);
            out[r * p->ld + c] = sum;
        }
    }
}

void rw_ref_product(struct rw_kernels *kernels)
{
    kernels->product = product_ref;
    kernels->product_bf16 = product_bf16_ref;
}
