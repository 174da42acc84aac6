/* SPDX-License-Identifier: Apache-2.0 */
#include "text/sampler_passes_body.h"

const struct rw_passes rw_passes_plain = PASSES;

const struct rw_passes *rw_passes_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        return &rw_passes_avx512;
    if (__builtin_cpu_supports("avx2"))
        return &rw_passes_avx2;
#endif
    return &rw_passes_plain;
}
