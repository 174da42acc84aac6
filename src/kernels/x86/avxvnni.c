/* SPDX-License-Identifier: Apache-2.0 */
/* What AVX-VNNI, over those of AVX2, does better: products of bytes. */
#include "kernels/x86/dot_avx2.h"
#include "kernels/x86/vec_avx2.h"

#include <string.h>

#define VEC_NAME(name) name##_avxvnni

#include "kernels/vec/dot_types.h"
#include "kernels/vec/dot.h"
#include "kernels/vec/dot_matmul.h"
#include "kernels/vec/dot_put.h"
#include "kernels/vec/live.h"
#include "kernels/vec/probe_int8.h"

void rw_kernels_avxvnni(struct rw_kernels *kernels)
{
    put_dot(kernels);
    put_live(kernels);
    put_probe_int8(kernels);
}
