/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the reference kernels: the lanes every sum is made in (see kernels.h), in plain C, and
 * the functions through which each file puts its kernels into the table.
 */
#ifndef RW_KERNELS_REF_INT_H
#define RW_KERNELS_REF_INT_H

#include "kernels/kernels.h"

#define LANES 16

/* Add a[k]·b[k] to the lanes, k < n; lane 0 comes first. */
static inline void lanes_dot(float acc[LANES], const float *a, const float *b, size_t n)
{
    size_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (size_t j = 0; j < LANES; j++)
            acc[j] += a[k + j] * b[k + j];
    for (size_t j = 0; k + j < n; j++)
        acc[j] += a[k + j] * b[k + j];
}

/* Halve the lanes down to one number; they are used up. */
static inline float lanes_sum(float acc[LANES])
{
    for (size_t half = LANES / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            acc[j] += acc[j + half];
    return acc[0];
}

void rw_ref_matvec(struct rw_kernels *kernels);
void rw_ref_matmul(struct rw_kernels *kernels);
void rw_ref_unpack(struct rw_kernels *kernels);
void rw_ref_norm(struct rw_kernels *kernels);
void rw_ref_mix(struct rw_kernels *kernels);
void rw_ref_elementwise(struct rw_kernels *kernels);
void rw_ref_wkv7(struct rw_kernels *kernels);
void rw_ref_product(struct rw_kernels *kernels);
void rw_ref_backward(struct rw_kernels *kernels);
void rw_ref_wkv7_backward(struct rw_kernels *kernels);
void rw_ref_optimizer(struct rw_kernels *kernels);
void rw_ref_probe(struct rw_kernels *kernels);

#endif
