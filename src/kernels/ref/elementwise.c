/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of one element. tanh and σ are the C library's double functions rounded to float, so
 * they are right to the last bit but for rare ties: the measure for the vector kernels'
 * polynomials.
 */
#include <math.h>

#include "kernels/ref/ref_int.h"

static RW_MAP_FN(tanh_ref)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)tanh((double)x[i]);
}

static RW_MAP_FN(sigmoid_ref)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(1 / (1 + exp(-(double)x[i])));
}

/* Written so that NaN fails the comparison and stays. */
static RW_MAP_FN(relu2_ref)
{
    for (size_t i = 0; i < n; i++) {
        float v = x[i] < 0 ? 0 : x[i];
        x[i] = v * v;
    }
}

static RW_ADD_FN(add_ref)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void rw_ref_elementwise(struct rw_kernels *kernels)
{
    kernels->tanh = tanh_ref;
    kernels->sigmoid = sigmoid_ref;
    kernels->relu2 = relu2_ref;
    kernels->add = add_ref;
}
