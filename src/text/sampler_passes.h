/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sampler's passes over all candidates. They are what a draw from a large vocabulary spends its
 * time on, so they are compiled for the vectors of several machines. The results are the same on
 * all, to the bit.
 */
#ifndef RW_TEXT_SAMPLER_PASSES_H
#define RW_TEXT_SAMPLER_PASSES_H

#include <stddef.h>
#include <stdint.h>

#define RW_PASS_BLOCK 32 /* candidates of which one number is told */

struct rw_passes {
    /* z[i] = logits[i], with −∞ for NaN and 0 for −0, which then sorts as it compares. The
     * largest. */
    float (*load)(float *z, const float *logits, size_t n);

    /* The largest of x; −∞ if there is none. NaN never wins. */
    float (*max)(const float *x, size_t n);

    /* weight[i] = e^(z[i] − max), where no z is larger than max, and 0 below e^−87; their sum. By
     * plain arithmetic, the relative error below 2⁻²². */
    double (*weigh)(float *weight, const float *z, size_t n, float max);

    double (*sum)(const float *x, size_t n);

    /* block[k] = the largest of x of block k; how many blocks. */
    size_t (*block_max)(float *block, const float *x, size_t n);

    /* index = where x is at least `least`, ascending; how many. */
    size_t (*reaching)(uint32_t *index, const float *x, size_t n, float least);

    /* The first index of the block in which the sum of the weights comes to exceed *left; what is
     * before it is taken off *left. If rounding lets no block reach that, the last that weighs
     * anything. */
    size_t (*find)(const float *weight, size_t n, double *left);
};

extern const struct rw_passes rw_passes_plain;
extern const struct rw_passes rw_passes_avx2;   /* x86-64 only, */
extern const struct rw_passes rw_passes_avx512; /* AVX-512 F and DQ */

/* The fastest that this machine runs. */
const struct rw_passes *rw_passes_best(void);

#endif
