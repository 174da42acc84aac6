/* SPDX-License-Identifier: Apache-2.0 */
/* Token shift: each output is the token moved towards the one before it, by its own weights. */
#include "kernels/ref/ref_int.h"

static RW_MIX_FN(mix_ref)
{
    for (size_t i = 0; i < n_mix; i++)
        for (size_t c = 0; c < n; c++)
            out[i][c] = x[c] + (prev[c] - x[c]) * mu[i][c];
}

void rw_ref_mix(struct rw_kernels *kernels)
{
    kernels->mix = mix_ref;
}
